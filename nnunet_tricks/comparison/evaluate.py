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
from nnunet_tricks.comparison.cache import Cache, Values, stamp
from nnunet_tricks.comparison.metrics import DEFAULT, TOLERANCES, LabelMapPair, chosen
from nnunet_tricks.comparison.positions import Apart
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.utilities.wording import some

LONG = 20
"""So many cases are worth a line of progress where there is no terminal."""


@dataclass(frozen=True)
class Asked:
    """What to measure.

    Attributes:
        classes: In what.
        metrics: Names and families of metrics.
        tolerances: Of the surface Dice.
        workers: So many processes.
        by_index: Whether headers may put prediction and label at different places.
    """

    classes: Classes
    metrics: tuple[str, ...] = DEFAULT
    tolerances: tuple[float, ...] = TOLERANCES
    workers: int = 1
    by_index: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the single metrics."""
        return tuple(metric.name for metric in chosen(self.metrics, self.tolerances))


@dataclass(frozen=True)
class Files:
    """Two label maps of a case.

    Attributes:
        case: Its identifier.
        prediction: What a model says.
        truth: What is right.
        image: What the model saw, if it is at hand: nnU-Net gives a prediction the header of its image.
    """

    case: str
    prediction: Path
    truth: Path
    image: Path | None = None


@dataclass(frozen=True)
class Measured:
    """What came out for a case.

    Attributes:
        files: Of it.
        values: A number and its unit for each class and metric.
        apart: How far the headers of prediction and label put their voxels apart.
    """

    files: Files
    values: Mapping[str, Mapping[str, tuple[float, str]]]
    apart: Apart = field(default_factory=Apart)


def evaluate(folder: Path, files: Sequence[Files], asked: Asked) -> list[Measured]:
    """Measure cases, or take what an earlier call has measured.

    Args:
        folder: Of the predictions; the cache stands there.
        files: Its cases.
        asked: What to measure.

    Raises:
        ValueError: Naming the cases, if some cannot be compared.
    """
    cache, names = Cache.of(folder), asked.names
    keys = {name: "+".join(map(str, values)) for name, values in asked.classes.values.items()}
    stamps = {one.case: stamp(one.prediction, one.truth, asked.classes.ignore) for one in files}
    jobs = []
    for one in files:
        known = cache.get(one.case, stamps[one.case])
        lacking = tuple(name for name in names if any(name not in known.get(key, {}) for key in keys.values()))
        if lacking:
            jobs.append(_Job(one, asked.classes, lacking, asked.by_index))
    if jobs:
        _fill(cache, jobs, stamps, asked.workers)
    if not asked.by_index:
        # Some may have been measured with leave.
        _refuse(cache.folder, [f"{one.case}: {fault}" for one in files if (fault := _elsewhere(one, cache))])
    measured = []
    for one in files:
        known = cache.get(one.case, stamps[one.case])
        values = {label: {name: known[key][name] for name in names} for label, key in keys.items()}
        measured.append(Measured(one, values, cache.apart(one.case)))
    return measured


def _elsewhere(files: Files, cache: Cache) -> str:
    """Why a case that is measured already cannot be compared by index; empty if it can."""
    found = cache.apart(files.case)
    return positions.contradiction(files.prediction, found) if found.contradicts and not _by_nnunet(files) else ""


def _by_nnunet(files: Files) -> bool:
    """Whether a prediction lies where its image does: it is the label that does not then, and so it was trained."""
    if files.image is None:
        return False
    image, prediction = positions.grid_in(files.image), positions.grid_in(files.prediction)
    return image is not None and prediction is not None and not positions.apart(prediction, image).contradicts


def _refuse(folder: Path, faults: Sequence[str]) -> None:
    if faults:
        raise ValueError(f"{folder}: {some(faults, '; ')}")


def _fill(cache: Cache, jobs: Sequence[_Job], stamps: Mapping[str, str], workers: int) -> None:
    """Measure into the cache; what is done stays done if something else fails."""
    faults = []
    try:
        for job, done in zip(jobs, _shown(_run(jobs, workers), len(jobs), cache.folder), strict=True):
            if done.fault:
                faults.append(f"{job.files.case}: {done.fault}")
            else:
                cache.put(job.files.case, stamps[job.files.case], done.values, done.apart)
    except BrokenProcessPool:
        raise ValueError(f"{cache.folder}: a process was killed, for lack of memory? Try fewer --workers") from None
    finally:
        cache.save()
    _refuse(cache.folder, faults)


@dataclass(frozen=True)
class _Job:
    files: Files
    classes: Classes
    metrics: tuple[str, ...]
    by_index: bool


@dataclass(frozen=True)
class _Done:
    values: Values = field(default_factory=dict)
    apart: Apart = field(default_factory=Apart)
    fault: str = ""


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[_Done]:
    workers = min(workers, len(jobs))
    if workers < 2:
        yield from map(_measure, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_measure, jobs)


def _measure(job: _Job) -> _Done:
    """The values, or what is wrong with the case."""
    try:
        prediction, truth = images.read(job.files.prediction), images.read(job.files.truth)
        spacing, unit = images.shared_grid(prediction, truth)
        apart = positions.apart(prediction.grid, truth.grid)
        if apart.contradicts and not job.by_index and not _by_nnunet(job.files):
            raise ValueError(positions.contradiction(job.files.prediction, apart))
        for which, labels in (("prediction", prediction), ("label", truth)):
            _check_values(which, labels, job.classes)
        case = LabelMapPair(prediction.values, truth.values, spacing, ignore=job.classes.ignore, unit=unit)
        metrics = chosen(job.metrics, [float(name.partition("@")[2]) for name in job.metrics if "@" in name])
        values: Values = {}
        for label_values in job.classes.values.values():
            pair = case.pair(label_values)
            values["+".join(map(str, label_values))] = {
                metric.name: (metric(pair), metric.unit_for(pair)) for metric in metrics if metric.name in job.metrics
            }
    except (ValueError, OSError) as error:
        return _Done(fault=str(error))
    return _Done(values, apart)


def _check_values(which: str, labels: images.Labels, classes: Classes) -> None:
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
        raise ValueError(f"the {which} holds {some([f'{value:g}' for value in unknown])}, which dataset.json does not")


def _shown(results: Iterable[_Done], total: int, folder: Path) -> Iterator[_Done]:
    """A bar on a terminal while there is something to wait for, a line elsewhere if that is long."""
    words = "/".join(folder.parts[-3:])
    if not sys.stderr.isatty() or total < 2:
        if total >= LONG:
            print(f"measuring {total} cases of {words}", file=sys.stderr, flush=True)
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(results, description=words, total=total, console=Console(stderr=True), transient=True)


def mean(values: Iterable[float]) -> float:
    """Over the defined values; NaN if there are none.

    Examples:
        >>> mean([1.0, math.nan, 2.0])
        1.5
    """
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
