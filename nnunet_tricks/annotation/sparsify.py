"""Of a densely annotated data set one with some annotated slices, as if an annotator had painted no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from nnunet_tricks import __version__
from nnunet_tricks.annotation import labels, moved_plans, recorded, selection
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.progress import shown
from nnunet_tricks.annotation.raw_data import RawData, sha256, target_name
from nnunet_tricks.annotation.scans import Scan, same_shape
from nnunet_tricks.annotation.selection import Chosen, Settings
from nnunet_tricks.annotation.split import fold_of
from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.utilities.wording import some


@dataclass
class Report:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        budget: See ``selection.budget``.
        ignore: Value of voxels that are not annotated.
        train: Number of cases with sparse labels.
        validation: Number of cases with dense labels.
        test: Number of cases in ``imagesTs``.
        plans: Names of the plans that were moved.
        configurations: Those of the first plans.
        without_object: Cases none of whose annotated slices shows a class.
        notes: What else somebody should know.
    """

    name: str
    budget: dict[str, Any]
    ignore: int
    train: int
    validation: int
    test: int
    plans: list[str]
    configurations: list[str]
    without_object: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sparsify(
    folders: Folders, dataset: str, number: int, settings: Settings, *, fold: int = 0, dry_run: bool = False
) -> Report:
    """Write the raw data set, and move splits and plans to it.

    Training cases of the fold keep the labels of their chosen slices; cases that are not chosen are left out.
    Validation and test cases keep all labels, so validation is dense.

    Args:
        folders: nnU-Net's.
        dataset: Number or full name of the dense data set, which must be planned.
        number: Of the new one.
        settings: How slices are chosen.
        fold: Whose training cases become sparse.
        dry_run: Write nothing.

    Raises:
        ValueError: If there is no such data set, fold or plan, labels are not as ``dataset.json`` says, or the number
            is taken.
    """
    source = folders.dataset(dataset)
    description = folders.description(source)
    changed = {**description, "labels": labels.with_ignore(description["labels"])}
    ignore = int(changed["labels"][labels.IGNORE])
    allowed = labels.values(description["labels"]) + ([ignore] if labels.IGNORE in description["labels"] else [])
    cases = folders.cases(source, "Tr")
    split = fold_of(folders, source, sorted(cases), fold)
    absent = [case for case in [*split["train"], *split["val"]] if case not in cases or cases[case].label is None]
    if absent:
        raise ValueError(f"{source} has no image or label of {some(absent)}, which its split names")
    name = target_name(folders, number, f"{source.partition('_')[2]}_{spelled(settings)}")
    recorded.refuse_changed_labels(folders, source, option=False)
    scans = {case: Scan(cases[case].images[0]) for case in split["train"]}
    known = {}
    if labels.IGNORE in description["labels"]:
        known = annotated_slices({case: _label(cases[case]) for case in split["train"]}, ignore)
    chosen = selection.select(scans, settings, known)
    all_plans = _plans(folders.preprocessed / source)
    fitted = {plan: moved_plans.fitted(content, chosen, name) for plan, content in all_plans.items()}
    test = folders.cases(source, "Ts")
    first = "nnUNetPlans" if "nnUNetPlans" in fitted else next(iter(fitted))
    report = Report(
        name=name,
        budget=selection.budget(chosen, scans),
        ignore=ignore,
        train=len(chosen),
        validation=len(split["val"]),
        test=len(test),
        plans=list(fitted),
        configurations=[*fitted[first][0]["configurations"]],
        notes=[*selection.warnings(chosen, settings), *_known_notes(known, scans), *_notes(fitted, chosen)],
    )
    if dry_run:
        return report
    splits = [{"train": sorted(chosen), "val": sorted(split["val"])}]
    manifest = {
        "nnunet_tricks": __version__,
        "source": source,
        "fold": fold,
        **settings.as_json(),
        "ignore": ignore,
        "budget": report.budget,
    }
    with RawData(folders, name, description["file_ending"]) as data:
        entries = _write_cases(data, cases, chosen, split["val"], allowed, report)
        data.link_test(test)
        preprocessed = Preprocessed(
            {plan: content for plan, (content, _) in fitted.items()},
            folders.preprocessed / source / moved_plans.FINGERPRINT,
        )
        data.finish(changed, {**manifest, "cases": entries}, splits, preprocessed)
    return report


def annotated_slices(files: Mapping[str, Path], ignore: int) -> dict[str, tuple[int, ...]]:
    """Slices of label maps that have an annotated voxel, from inferior to superior, of cases that have others, too.

    Args:
        files: Label maps by case.
        ignore: Value of voxels that nobody annotated.

    Raises:
        ValueError: If a label map has no annotated voxel at all.
    """
    found = {}
    for case, file in shown(files.items(), "Looking for annotated slices", len(files)):
        annotated = (Scan(file).slices() != ignore).any(axis=(1, 2))
        if not annotated.any():
            raise ValueError(f"{file} has no annotated voxel: take the case out of the split, or annotate it")
        if not annotated.all():
            found[case] = tuple(int(index) for index in np.flatnonzero(annotated))
    return found


def spelled(settings: Settings) -> str:
    """Settings as part of a data set's name.

    Examples:
        >>> spelled(Settings(density=0.05, policy="ual", fraction=0.5, seed=2))
        'ual0p05_volumes0p5_seed2'
    """
    words = [f"{settings.policy}{settings.density:g}"]
    words += [f"volumes{settings.fraction:g}"] if settings.fraction < 1 else []
    words += [f"seed{settings.seed}"] if settings.seed else []
    return "_".join(words).replace(".", "p").replace("-", "m")


def _write_cases(
    data: RawData,
    cases: Mapping[str, Case],
    chosen: Mapping[str, Chosen],
    validation: list[str],
    allowed: list[int],
    report: Report,
) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for case, one in shown(chosen.items(), "Writing sparse labels", len(chosen)):
        label_file = _label(cases[case])
        volume = one.scan.axial
        same_shape(Scan(label_file), one.scan)
        label = Scan(label_file).image()
        dense = labels.checked(SimpleITK.GetArrayFromImage(label), allowed, str(label_file))
        sparse = np.full_like(dense, report.ignore)
        kept = list(one.slices)
        volume.slices_first(sparse)[kept] = volume.slices_first(dense)[kept]
        shows = bool(((sparse > 0) & (sparse < report.ignore)).any())
        if not shows:
            report.without_object.append(case)
        entries[case] = {
            "annotation": "sparse",
            "slices": volume.slices,
            "chosen": kept,
            "axis": "ijk"[volume.axis],
            "descending": volume.descending,
            "spacing_mm": volume.spacing,
            "shows_object": shows,
            "images_sha256": data.link_images(case, cases[case].images),
            "dense_label_file": label_file.name,
            "dense_label_sha256": sha256(label_file),
            "label_sha256": data.write_label(case, sparse, label),
        }
    for case in shown(validation, "Linking validation cases", len(validation)):
        entries[case] = {
            "annotation": "dense",
            "images_sha256": data.link_images(case, cases[case].images),
            "label_sha256": data.link_label(case, _label(cases[case])),
        }
    return entries


def _label(case: Case) -> Path:
    if case.label is None:
        raise ValueError(f"case with image {case.images[0]} has no label")
    return case.label


def _plans(folder: Path) -> dict[str, plans_file.Plans]:
    """All plans of the dense data set."""
    found = {file.stem: plans_file.read(file) for file in sorted(folder.glob("*.json")) if plans_file.is_plans(file)}
    if not found or not (folder / moved_plans.FINGERPRINT).is_file():
        number = int(folder.name[len("Dataset") :].partition("_")[0])
        raise ValueError(
            f"{folder} has no plans: first run 'nnUNetv2_plan_and_preprocess -d {number}', since a data set of sparse "
            "annotation takes its plans from the dense one"
        )
    return found


def _known_notes(known: Mapping[str, tuple[int, ...]], scans: Mapping[str, Scan]) -> list[str]:
    if not known:
        return []
    slices = sum(scans[case].axial.slices for case in known)
    return [
        f"{len(known)} training case(s), such as {min(known)}, are not annotated on all slices, but on "
        f"{sum(map(len, known.values()))} of {slices}: slices were chosen among these, and density is a share of them"
    ]


def _notes(fitted: Mapping[str, tuple[plans_file.Plans, list[str]]], chosen: Mapping[str, Chosen]) -> list[str]:
    total = sum(len(one.slices) for one in chosen.values())
    notes = []
    for plan, (content, gone) in fitted.items():
        if gone:
            notes.append(f"{plan}: left out {', '.join(gone)}, whose slices are not axial in this data set")
        for configuration, lost in moved_plans.vanishing(content, chosen):
            notes.append(
                f"{plan}, {configuration}: resampling to fewer slices loses about {lost} of {total} annotated slices; "
                "nnUNetTrainerSparseSlices_density... on the dense data set loses none"
            )
    return notes
