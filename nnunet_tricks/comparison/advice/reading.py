"""Read a data set, raw or preprocessed, as far as advice needs it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison import images
from nnunet_tricks.comparison.advice.figures import PARTLY, ClassFigures, DataFigures
from nnunet_tricks.comparison.advice.measuring import (
    LARGEST,
    MeasuredObjects,
    objects_of,
    position_asymmetry,
    position_entropy,
)
from nnunet_tricks.comparison.scans import ImageVolume
from nnunet_tricks.nnunet import case_file
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Folders, read_json
from nnunet_tricks.nnunet.plans_file import resolve
from nnunet_tricks.utilities.progress import shown

MOST_CASES = 200
"""Number of cases that are read at most, from the whole list."""

MOST_VOXELS = 600_000_000
"""Voxels that are read at most; a CT of the whole body has 60 million."""

SECONDS = 15.0
"""Time after which no further case is read."""

CLEAR = 0.5
"""Contrast from which on its sign is no chance."""

FEWEST = 3
"""Number of cases that are read however long it takes."""


@dataclass(frozen=True)
class LabelledCase:
    """One case, read.

    Attributes:
        labels: Label map, axes z, y, x or y, x.
        image: Grey values, axes channel and those of the label map.
        spacing: Distance of voxels along each axis; 1 where the file has none.
        natural: Whether the image is a picture with values from 0 to 255.
    """

    labels: NDArray[np.generic]
    image: NDArray[np.float32]
    spacing: tuple[float, ...]
    natural: bool


@dataclass(frozen=True)
class _CaseFigures:
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    natural: bool
    channels: int
    grey: bool
    foreground: float
    unannotated: float
    slices: float
    objects: dict[str, MeasuredObjects]


def read_figures(dataset: str, folders: Folders, *, seconds: float = SECONDS) -> DataFigures:
    """Measure a data set.

    Args:
        dataset: Number or full name.
        folders: nnU-Net's folders. Raw data are read if they are there, else preprocessed ones.
        seconds: Time after which no further case is read.

    Raises:
        ValueError: If there is no such data set, it has no ``dataset.json`` or no labelled cases, or a file cannot be
            read.
    """
    name = folders.dataset(dataset)
    description = folders.description(name)
    classes = Classes.of(description)
    if (folders.raw / name / "dataset.json").is_file():
        source, readers = "raw", _raw(folders, name)
    else:
        source, readers = "preprocessed", _preprocessed(folders.preprocessed / name)
    if not readers:
        raise ValueError(f"{name} has no training case with a label, so there is nothing to advise on")
    began = time.monotonic()
    chosen = _spread(readers, MOST_CASES)
    measured = list(_measured(chosen, classes, began + seconds))
    names = description.get("channel_names") or description.get("modality") or {}
    first = str(next(iter(names.values()), "")).lower()
    return _joined(name, source, len(readers), measured, classes, ct=first == "ct", began=began)


def _raw(folders: Folders, name: str) -> list[Callable[[], LabelledCase]]:
    cases = folders.cases(name, "Tr")
    readers: list[Callable[[], LabelledCase]] = []
    for case, files in cases.items():
        if files.label is not None:
            readers.append(_raw_reader(case, files.images, files.label))
    return readers


def _raw_reader(case: str, channels: tuple[Path, ...], label: Path) -> Callable[[], LabelledCase]:
    def read() -> LabelledCase:
        truth = images.read(label)
        volume = ImageVolume.read(channels)
        grey = volume.values[:, 0] if truth.values.ndim == 2 else volume.values
        labels, spacing = truth.values, truth.spacing
        if labels.ndim == 3 and labels.shape[0] == 1:
            labels, spacing, grey = labels[0], spacing[1:], grey[:, 0]
        if grey.shape[1:] != labels.shape:
            raise ValueError(
                f"{case}: the image has shape {grey.shape[1:]}, its label {labels.shape}; 'nnunet-tricks check' says "
                "what else is wrong"
            )
        return LabelledCase(labels, grey, spacing, volume.natural)

    return read


def _preprocessed(folder: Path) -> list[Callable[[], LabelledCase]]:
    """Readers of the cases of one configuration: that of 3D at full resolution if there is one, else that of 2D."""
    for file in sorted(folder.glob("*.json")):
        content = read_json(file)
        if not isinstance(content, dict) or "configurations" not in content:
            continue
        for configuration in ("3d_fullres", "2d"):
            if configuration in content["configurations"]:
                settings = resolve(content, configuration)
                place = folder / str(settings["data_identifier"])
                cases = sorted(case.stem for case in place.glob("*.pkl"))
                if cases:
                    axes = tuple(content.get("transpose_backward") or (0, 1, 2))
                    return [_preprocessed_reader(place, case, settings["spacing"], axes) for case in cases]
    raise ValueError(
        f"{folder} has no preprocessed cases, and the raw data set is not there: run nnUNetv2_plan_and_preprocess"
    )


def _preprocessed_reader(
    place: Path, case: str, spacing: Sequence[float], axes: Sequence[int]
) -> Callable[[], LabelledCase]:
    def read() -> LabelledCase:
        image, labels = case_file.image_and_labels(place, case)
        # nnU-Net marks what it cropped away as -1.
        labels = np.maximum(labels, 0)
        if len(spacing) == 2 and labels.shape[0] == 1:
            return LabelledCase(labels[0], image[:, 0], tuple(map(float, spacing)), natural=False)
        steps = (1.0,) * (labels.ndim - len(spacing)) + tuple(map(float, spacing))
        # Plans may exchange axes, and figures name those of the files.
        return LabelledCase(
            labels.transpose(axes),
            image.transpose(0, *(axis + 1 for axis in axes)),
            tuple(steps[axis] for axis in axes),
            natural=False,
        )

    return read


def _spread(readers: Sequence[Callable[[], LabelledCase]], count: int) -> list[Callable[[], LabelledCase]]:
    """So many of them, in an order in which any first few come from the whole list."""
    step = max(len(readers) / count, 1)
    kept = [readers[int(number * step)] for number in range(min(count, len(readers)))]
    # Multiples of the golden ratio fill an interval evenly, however many there are.
    order = sorted(range(len(kept)), key=lambda number: (number * 0.6180339887498949) % 1.0)
    return [kept[number] for number in order]


def _measured(readers: Iterable[Callable[[], LabelledCase]], classes: Classes, until: float) -> Iterator[_CaseFigures]:
    voxels = 0
    chosen = list(readers)
    for number, read in enumerate(shown(chosen, "reading cases", len(chosen))):
        if number >= FEWEST and (voxels > MOST_VOXELS or time.monotonic() > until):
            return
        case = read()
        voxels += case.labels.size
        yield _of_case(case, classes)


def _of_case(case: LabelledCase, classes: Classes) -> _CaseFigures:
    labels = case.labels
    annotated = labels != classes.ignore if classes.ignore is not None else np.ones(labels.shape, bool)
    objects = {}
    for name, values in classes.values.items():
        measured = objects_of(np.isin(labels, values), case.image, annotated)
        if measured is not None:
            objects[name] = measured
    count = int(np.count_nonzero(annotated))
    return _CaseFigures(
        shape=labels.shape,
        spacing=case.spacing,
        natural=case.natural,
        channels=len(case.image),
        grey=len(case.image) > 1 and bool((case.image == case.image[:1]).all()),
        foreground=np.count_nonzero(annotated & (labels != 0)) / count if count else math.nan,
        unannotated=1 - count / labels.size,
        slices=float(annotated.any(axis=tuple(range(1, labels.ndim))).mean()),
        objects=objects,
    )


def _joined(
    name: str,
    source: str,
    total: int,
    cases: Sequence[_CaseFigures],
    classes: Classes,
    *,
    ct: bool,
    began: float,
) -> DataFigures:
    dimensions = {len(case.shape) for case in cases}
    if len(dimensions) > 1:
        raise ValueError(f"{name} has label maps with 2 and with 3 axes; 'nnunet-tricks check' names them")
    labelled = [case for case in cases if case.unannotated < 1]
    if not labelled:
        raise ValueError(
            f"all {len(cases)} cases of {name} that were read have the ignore label everywhere: annotate some, or read "
            "more with --seconds"
        )
    ignored = float(np.mean([case.unannotated for case in labelled]))
    spacing = tuple(float(value) for value in np.median([case.spacing for case in cases], axis=0))
    shares = [
        _positive([case.objects[label].share for case in cases if label in case.objects]) for label in classes.values
    ]
    return DataFigures(
        dataset=name,
        source=source,
        cases=total,
        read=len(cases),
        dimension=dimensions.pop(),
        channels=cases[0].channels,
        coloured=cases[0].natural and cases[0].channels == 3,
        grey=float(np.mean([case.grey for case in cases])),
        ct=ct,
        voxels=float(np.median([math.prod(case.shape) for case in cases])),
        shape=tuple(float(value) for value in np.median([case.shape for case in cases], axis=0)),
        spacing=spacing,
        anisotropy=max(spacing) / min(spacing) if min(spacing) > 0 else 1.0,
        foreground=float(np.median([case.foreground for case in labelled])),
        empty=float(np.mean([not case.objects for case in labelled])),
        blank=len(cases) - len(labelled),
        unannotated=float(np.median([case.unannotated for case in labelled])),
        ignored=ignored,
        slices=float(np.median([case.slices for case in labelled])),
        imbalance=_imbalance(shares),
        seconds=time.monotonic() - began,
        classes=tuple(
            _of_class(
                label,
                [case.objects[label] for case in labelled if label in case.objects],
                in_pieces=ignored >= PARTLY,
            )
            for label in classes.values
        ),
    )


def _positive(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _imbalance(shares: Sequence[float]) -> float:
    known = [share for share in shares if share > 0]
    return max(known) / min(known) if len(known) > 1 else math.nan


def _of_class(name: str, cases: Sequence[MeasuredObjects], *, in_pieces: bool) -> ClassFigures:
    if not cases:
        return ClassFigures(name=name, cases=0)
    contrasts = [case.contrast for case in cases if math.isfinite(case.contrast)]
    clear = [contrast for contrast in contrasts if abs(contrast) >= CLEAR]
    bright = float(np.mean([contrast > 0 for contrast in clear])) if clear else math.nan
    known = ClassFigures(
        name=name,
        cases=len(cases),
        share=_positive([case.share for case in cases]),
        contrast=_positive([abs(contrast) for contrast in contrasts]),
        reversed=min(bright, 1 - bright),
    )
    return known if in_pieces else _with_objects(known, cases)


def _with_objects(known: ClassFigures, cases: Sequence[MeasuredObjects]) -> ClassFigures:
    """The figures of a class with those of its objects and their places."""
    volumes = np.concatenate([case.volumes for case in cases])
    widths = [width for case in cases for width in case.widths]
    formed, inside = sum(case.formed for case in cases), sum(case.inside for case in cases)
    places = [case.places for case in cases]
    asymmetry, axis = position_asymmetry(places)
    low, high = np.percentile(volumes, (10, 90))
    return replace(
        known,
        count=_positive([len(case.volumes) for case in cases]),
        single=float(np.mean([max(case.volumes) >= LARGEST * sum(case.volumes) for case in cases])),
        size=float(np.median(volumes)),
        small=float(low),
        spread=float(high / low),
        width=_positive(widths),
        near=sum(case.near for case in cases) / len(volumes),
        necks=sum(case.necks for case in cases) / formed if formed else math.nan,
        thin=sum(case.border for case in cases) / inside if inside else math.nan,
        holes=float(np.mean([case.has_holes for case in cases])),
        entropy=position_entropy(places),
        asymmetry=asymmetry,
        axis=axis,
    )
