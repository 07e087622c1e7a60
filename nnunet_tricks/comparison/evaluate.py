"""Measure every case of a folder of predictions."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from nnunet_tricks.comparison import images, positions
from nnunet_tricks.comparison.cache import MetricsCache, Values, stamp
from nnunet_tricks.comparison.metrics import DEFAULT, TOLERANCES, LabelMapPair, chosen
from nnunet_tricks.comparison.positions import Displacement
from nnunet_tricks.nnunet.annotated_classes import FILE, AnnotatedClasses
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some

LONG = 20
"""Number of cases from which on a line of progress is printed where there is no terminal."""


@dataclass(frozen=True)
class MeasuringSettings:
    """Classes and metrics to measure, and how.

    Attributes:
        classes: Classes or regions to measure.
        metrics: Names and families of metrics.
        tolerances: Tolerances of the surface Dice in mm.
        workers: Number of processes.
        by_index: Whether headers may put prediction and label at different places.
        annotated: Classes that each case is annotated for; None if all are annotated for all.
    """

    classes: Classes
    metrics: tuple[str, ...] = DEFAULT
    tolerances: tuple[float, ...] = TOLERANCES
    workers: int = 1
    by_index: bool = False
    annotated: AnnotatedClasses | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the single metrics."""
        return tuple(metric.name for metric in chosen(self.metrics, self.tolerances))


@dataclass(frozen=True)
class CaseFiles:
    """The label maps of a case.

    Attributes:
        case: Identifier of the case.
        prediction: Label map that a model predicted.
        truth: Label map that is right.
        image: Image that the model saw, if it is at hand: nnU-Net gives a prediction the header of its image.
    """

    case: str
    prediction: Path
    truth: Path
    image: Path | None = None


@dataclass(frozen=True)
class MeasuredCase:
    """The numbers of a case.

    Attributes:
        files: Files of the case.
        values: A number and its unit for each class and metric.
        displacement: Distance by which the headers of prediction and label put their voxels apart.
    """

    files: CaseFiles
    values: Mapping[str, Mapping[str, tuple[float, str]]]
    displacement: Displacement = field(default_factory=Displacement)

    def is_annotated(self, label: str) -> bool:
        """Whether the case is annotated for a class; if not, all numbers of the class are NaN."""
        return not math.isnan(self.values[label]["TP"][0])


def evaluate(folder: Path, files: Sequence[CaseFiles], settings: MeasuringSettings) -> list[MeasuredCase]:
    """Measure cases, or take what an earlier call has measured.

    Args:
        folder: Folder of the predictions, which holds the cache too.
        files: Cases to measure.
        settings: Classes and metrics to measure.

    Raises:
        ValueError: Naming the cases, if some cannot be compared.
    """
    cache, names = MetricsCache.of(folder), settings.names
    keys = {name: "+".join(map(str, values)) for name, values in settings.classes.values.items()}
    stamps = {case.case: stamp(case.prediction, case.truth, settings.classes.ignore) for case in files}
    jobs = []
    for case in files:
        known = cache.get(case.case, stamps[case.case])
        lacking = tuple(name for name in names if any(name not in known.get(key, {}) for key in keys.values()))
        if lacking:
            jobs.append(_MeasuringJob(case, settings.classes, lacking, settings.by_index))
    if jobs:
        _fill(cache, jobs, stamps, settings.workers)
    if not settings.by_index:
        # Some may have been measured when headers were allowed to differ.
        _refuse(cache.folder, [f"{case.case}: {fault}" for case in files if (fault := _elsewhere(case, cache))])
    measured = []
    for case in files:
        known = cache.get(case.case, stamps[case.case])
        values = {label: {name: known[key][name] for name in names} for label, key in keys.items()}
        if settings.annotated is not None:
            values = _of_annotated(values, settings.annotated, case.case, settings.classes)
        measured.append(MeasuredCase(case, values, cache.displacement(case.case)))
    return measured


def _of_annotated(
    values: Mapping[str, dict[str, tuple[float, str]]], table: AnnotatedClasses, case: str, classes: Classes
) -> dict[str, dict[str, tuple[float, str]]]:
    """Numbers that are NaN for classes that a case is not annotated for: its label map says nothing about them."""
    return {
        label: metrics
        if table.knows(case, classes.values[label])
        else {name: (math.nan, unit) for name, (_, unit) in metrics.items()}
        for label, metrics in values.items()
    }


def left_out(table: AnnotatedClasses | None, classes: Classes, cases: Iterable[str]) -> str:
    """A sentence on cases that are not annotated for a class; empty if all are.

    Args:
        table: Table of the data set, if it has one.
        classes: Classes or regions that are measured.
        cases: Names of the measured cases.
    """
    names = list(dict.fromkeys(cases))
    unknown = {
        label: sum(not table.knows(case, values) for case in names) if table else 0
        for label, values in classes.values.items()
    }
    words = [f"{label} in {count}" for label, count in unknown.items() if count]
    if not words:
        return ""
    return f"{FILE}: of {len(names)} cases are not annotated: {some(words)}. There these classes do not count."


def _elsewhere(files: CaseFiles, cache: MetricsCache) -> str:
    """Why a case that is measured already cannot be compared by index; empty if it can."""
    displacement = cache.displacement(files.case)
    if not displacement.contradicts or _lies_with_image(files):
        return ""
    return positions.contradiction(files.prediction, displacement)


def _lies_with_image(files: CaseFiles) -> bool:
    """Whether a prediction lies where its image does. Then the label's header differs, as it did in training."""
    if files.image is None:
        return False
    image, prediction = positions.grid_in(files.image), positions.grid_in(files.prediction)
    return image is not None and prediction is not None and not positions.displacement(prediction, image).contradicts


def _refuse(folder: Path, faults: Sequence[str]) -> None:
    if faults:
        raise ValueError(f"{folder}: {some(faults, '; ')}")


def _fill(cache: MetricsCache, jobs: Sequence[_MeasuringJob], stamps: Mapping[str, str], workers: int) -> None:
    """Measure into the cache; what is done stays done if something else fails."""
    faults = []
    try:
        for job, outcome in zip(jobs, _with_progress(_run(jobs, workers), len(jobs), cache.folder), strict=True):
            if outcome.fault:
                faults.append(f"{job.files.case}: {outcome.fault}")
            else:
                cache.put(job.files.case, stamps[job.files.case], outcome.values, outcome.displacement)
    except BrokenProcessPool:
        raise ValueError(f"{cache.folder}: a process was killed, for lack of memory? Try fewer --workers") from None
    finally:
        cache.save()
    _refuse(cache.folder, faults)


@dataclass(frozen=True)
class _MeasuringJob:
    files: CaseFiles
    classes: Classes
    metrics: tuple[str, ...]
    by_index: bool


@dataclass(frozen=True)
class _MeasuringOutcome:
    values: Values = field(default_factory=dict)
    displacement: Displacement = field(default_factory=Displacement)
    fault: str = ""


def _run(jobs: Sequence[_MeasuringJob], workers: int) -> Iterator[_MeasuringOutcome]:
    workers = min(workers, len(jobs))
    if workers < 2:
        yield from map(_measure, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_measure, jobs)


def _measure(job: _MeasuringJob) -> _MeasuringOutcome:
    """Measure one case: its values, or what is wrong with it."""
    try:
        prediction, truth = images.read(job.files.prediction), images.read(job.files.truth)
        spacing, unit = images.shared_grid(prediction, truth)
        displacement = positions.displacement(prediction.grid, truth.grid)
        if displacement.contradicts and not job.by_index and not _lies_with_image(job.files):
            raise ValueError(positions.contradiction(job.files.prediction, displacement))
        for name, labels in (("prediction", prediction), ("label", truth)):
            _check_values(name, labels, job.classes)
        case = LabelMapPair(prediction.values, truth.values, spacing, ignore=job.classes.ignore, unit=unit)
        metrics = chosen(job.metrics, [float(name.partition("@")[2]) for name in job.metrics if "@" in name])
        values: Values = {}
        for label_values in job.classes.values.values():
            pair = case.pair(label_values)
            values["+".join(map(str, label_values))] = {
                metric.name: (metric(pair), metric.unit_for(pair)) for metric in metrics if metric.name in job.metrics
            }
    except (ValueError, OSError) as error:
        return _MeasuringOutcome(fault=str(error))
    return _MeasuringOutcome(values, displacement)


def _check_values(name: str, labels: images.LabelMap, classes: Classes) -> None:
    """Refuse a label map with values that the data set does not have."""
    if not classes.known:
        return
    values = labels.values
    if values.dtype.kind != "b" and values.min() >= 0:
        # Much faster than sorting millions of voxels.
        known = np.zeros(int(max(values.max(), *classes.known)) + 1, dtype=bool)
        known[list(classes.known)] = True
        if known[values].all():
            return
    unknown = sorted(set(np.unique(values).tolist()) - classes.known)
    if unknown:
        raise ValueError(f"the {name} holds {some([f'{value:g}' for value in unknown])}, which dataset.json does not")


def _with_progress(outcomes: Iterable[_MeasuringOutcome], total: int, folder: Path) -> Iterator[_MeasuringOutcome]:
    """A bar on a terminal if there is something to wait for, a line elsewhere if that is long."""
    words = "/".join(folder.parts[-3:])
    if total >= LONG and not sys.stderr.isatty():
        print(f"measuring {total} cases of {words}", file=sys.stderr, flush=True)
    yield from shown(outcomes, words, total) if total > 1 else outcomes


def mean(values: Iterable[float]) -> float:
    """Mean of the defined values; NaN if there are none.

    Examples:
        >>> mean([1.0, math.nan, 2.0])
        1.5
    """
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
