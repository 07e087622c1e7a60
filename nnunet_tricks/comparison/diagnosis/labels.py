"""Faults of labels: classes that are missing from a fold, nothing annotated, labels beside their objects, order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_tricks.comparison.diagnosis.alignment import displacement
from nnunet_tricks.comparison.diagnosis.data import FoldData
from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.training import Training
from nnunet_tricks.nnunet.classes import Classes

MISSING = "class missing from the fold"
LACKING = "cases that lack the class are trained as background"
UNMEASURED = "class not in the validation cases"
IGNORED = "ignore label everywhere"
NO_BACKGROUND = "no background is annotated"
BESIDE = "labels do not lie on their objects"
ORDER = "order of the regions"
NOT_FINITE = "values in the images that are no numbers"

KNOWING = ("PartialLabels", "CompleteCases")
"""Tricks that know what cases are annotated for."""

VALIDATION_WORSE = "validation is much worse than pseudo-Dice"
STAYS_AT_0 = "a class stays at 0"


def faults(training: Training, data: FoldData | None) -> Iterator[Finding]:
    """What is wrong with the labels of a training, whatever its curves say.

    Args:
        training: The training.
        data: Its preprocessed data; None if they are not here.
    """
    yield from region_order(training.description)
    if data is None:
        return
    ignored = list(_ignored(data))
    yield from ignored
    if not ignored:
        yield from _missing(training, data)
        yield from _lacking(training, data)
        yield from _beside(data)
    yield from _not_finite(data)


def region_order(description: Mapping[str, Any]) -> Iterator[Finding]:
    """Labels that nnU-Net's conversion of regions to a label map would not give back.

    nnU-Net writes the numbers of ``regions_class_order`` one after the other, each into its region, so a later region
    replaces an earlier one. A perfect prediction must give the label map that it was made from.

    Args:
        description: Content of ``dataset.json``.

    Examples:
        >>> wrong = {"labels": {"background": 0, "whole": [1, 2], "core": 2}, "regions_class_order": [2, 1]}
        >>> [finding.seen[1] for finding in region_order(wrong)]
        ['a perfect prediction of label 2 would be written as label 1']
    """
    order = description.get("regions_class_order")
    if not isinstance(order, list | tuple) or "labels" not in description:
        return
    classes = Classes.of(description)
    regions = list(classes.values.items())
    if len(order) != len(regions):
        return
    wrong = []
    for label in sorted(classes.known - {0, classes.ignore}):
        containing = [place for place, (_, labels) in enumerate(regions) if label in labels]
        written = int(order[containing[-1]]) if containing else 0
        if written != label:
            wrong.append(f"a perfect prediction of label {label} would be written as label {written}")
    if wrong:
        yield Finding(
            ORDER,
            VALIDATION_WORSE,
            "certain",
            (
                *wrong,
                "pseudo-Dice does not see it, as it is computed on regions; the validation after the training, and "
                "predictions, have such label maps",
            ),
            _right_order(regions),
        )


def _right_order(regions: Sequence[tuple[str, tuple[int, ...]]]) -> tuple[str, ...]:
    """Advice on how all labels would be given back."""
    if order := _order(regions):
        return (
            f"'regions_class_order' must be {order}. Correct it in dataset.json of the raw data set, of "
            "nnUNet_preprocessed and of the model folder. The network need not be trained again: nnUNetv2_train with "
            "--val makes the validation again",
        )
    ordered = sorted(regions, key=lambda region: -len(region[1]))
    if order := _order(ordered):
        names = ", ".join(name for name, _ in ordered)
        return (
            f"name the regions from large to small in dataset.json ({names}), with 'regions_class_order' {order}, "
            "then preprocess and train again: each region is a place in the network's output",
        )
    return ("no order gives all labels back: each label needs a region that holds it and that no later one covers",)


def _order(regions: Sequence[tuple[str, tuple[int, ...]]]) -> list[int]:
    """The ``regions_class_order`` with which these regions give all labels back; empty if there is none."""
    order = []
    for place, (_, labels) in enumerate(regions):
        own = set(labels) - {label for _, others in regions[place + 1 :] for label in others}
        if len(own) != 1:
            return []
        order.append(own.pop())
    return order


def _ignored(data: FoldData) -> Iterator[Finding]:
    if data.ignore is None or not data.training:
        return
    empty = sum(not case.annotated for case in data.training)
    maps = [labels for _, labels in data.images]
    shares = [float(np.mean(labels == data.ignore)) for labels in maps]
    if empty == len(data.training):
        yield Finding(
            IGNORED,
            "my Dice is nan",
            "certain",
            (
                f"no voxel is annotated in any of {len(data.training)} training cases: all have the ignore label "
                f"{data.ignore} (a share of {np.mean(shares):.3g} in the {len(shares)} label maps that were read)",
                "a loss of nothing has no gradient, so the network stays as it began",
            ),
            (
                "look at a label map in a viewer: 'ignore' must be the label of voxels that nobody annotated, and "
                "background must be 0 where somebody has looked; then run nnUNetv2_plan_and_preprocess again",
                "nnunet-tricks check DATASET counts the labels of each case",
            ),
        )
    elif maps and not any((labels == 0).any() for labels in maps) and any((labels > 0).any() for labels in maps):
        yield Finding(
            NO_BACKGROUND,
            "everything is predicted as foreground",
            "certain",
            (f"in {len(maps)} training cases that were read, no annotated voxel is background",),
            (
                "the network is never told what is background: annotate some of it with 0, and leave the ignore label "
                "to what nobody has looked at",
            ),
        )


def _missing(training: Training, data: FoldData) -> Iterator[Finding]:
    for name in training.names:
        there, measured = (data.share(name, cases) for cases in (data.training, data.validation))
        if not there:
            yield Finding(
                MISSING,
                STAYS_AT_0,
                "certain",
                (
                    f"none of {data.training_total} training cases of fold {training.fold} has '{name}', "
                    f"{measured} of {len(data.validation)} validation cases have it",
                ),
                (
                    "nnunet-tricks split DATASET --stratify labels makes folds with their share of each class"
                    if measured
                    else "nnunet-tricks check DATASET: no preprocessed case has it, so look whether its label is in "
                    "the files, and whether it is lost by resampling because it is small",
                ),
                classes=(name,),
            )
        elif not measured and data.validation:
            yield Finding(
                UNMEASURED,
                "my Dice is nan",
                "certain",
                (
                    f"none of {len(data.validation)} validation cases of fold {training.fold} has '{name}', so its "
                    "Dice is nan, or 0 if it is predicted anywhere",
                ),
                ("nnunet-tricks split DATASET --stratify labels makes folds with their share of each class",),
                classes=(name,),
            )


def _lacking(training: Training, data: FoldData) -> Iterator[Finding]:
    """Cases that a table says lack a class, in a training that knows nothing of the table."""
    if any(trick in training.trainer for trick in KNOWING):
        return
    for name, count in data.lacking.items():
        yield Finding(
            LACKING,
            "",
            "likely",
            (
                f"annotated.json says that {count} of {data.training_total} training cases are not annotated for "
                f"'{name}'. {training.trainer} does not read it, so there the class is background",
            ),
            ("train with a trick that reads the table: it learns each class from the cases that are annotated for it",),
            ("PartialLabels", "CompleteCases"),
            (name,),
        )


def _beside(data: FoldData) -> Iterator[Finding]:
    if data.ignore is not None:
        return
    where = displacement(data.images)
    advice = (
        "nnunet-tricks preview-augmentation DATASET draws the outlines on the images: look whether they are on the "
        "objects",
        "labels move when origin or direction of their file differ from the image's, or when they were made on a "
        "flipped or resampled image: nnunet-tricks check DATASET compares the headers",
    )
    if where.is_common and where.common is not None:
        steps = ", ".join(f"{step:+d}" for step in where.common)
        yield Finding(
            BESIDE,
            "",
            "likely",
            (
                f"labels are displaced by ({steps}) voxels: moved back by that, their borders fit the edges of the "
                f"images best ({where.cases} preprocessed training cases were read)",
            ),
            advice,
        )
    elif where.is_different:
        yield Finding(
            BESIDE,
            "",
            "likely",
            (
                f"in {where.beside} of {where.judged} training cases whose objects have clear edges, borders of labels "
                "fit these edges better elsewhere, at another place in each case",
            ),
            (*advice, "if each label map lies on the image of another case, names of files were mixed up"),
        )


def _not_finite(data: FoldData) -> Iterator[Finding]:
    broken = sum(not np.isfinite(image).all() for image, _ in data.images)
    if broken:
        yield Finding(
            NOT_FINITE,
            "loss is NaN",
            "certain",
            (f"{broken} of {len(data.images)} preprocessed images that were read hold NaN or infinite values",),
            (
                "nnunet-tricks check DATASET names the files; replace these values in the raw images, and run "
                "nnUNetv2_plan_and_preprocess again",
            ),
        )
