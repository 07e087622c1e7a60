"""Quality of interpolated masks, measured where the truth is known."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.interpolation import interpolate
from nnunet_tricks.annotation.labels import IGNORE
from nnunet_tricks.annotation.policies import chosen
from nnunet_tricks.nnunet.folders import read_json

if TYPE_CHECKING:
    from nnunet_tricks.annotation.features import Volume
    from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence

Array = NDArray[np.integer]
Regions = Mapping[str, Sequence[int]]

DENSITIES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Densities in the paper's tables."""

GAPS = (0.0, 3.0, 6.0, 12.0, 25.0, 50.0, math.inf)
"""Borders between ranges of gaps, in mm."""


@dataclass(frozen=True)
class QualityRow:
    """Measured quality of one volume, region, method and density.

    Attributes:
        case: Name of the volume.
        region: Name of the class or region.
        method: Method of interpolation.
        density: Requested density.
        slices: Number of annotated slices.
        gap_mm: Mean distance in mm from one annotated slice to the next.
        iou: Intersection over union over all slices; NaN if neither mask shows the region.
        iou_unannotated: Intersection over union over slices that are not annotated.
        seconds: Processor time of the interpolation, in seconds.
    """

    case: str
    region: str
    method: str
    density: float
    slices: int
    gap_mm: float
    iou: float
    iou_unannotated: float
    seconds: float


def measured(
    case: str,
    truth: Array,
    spacing: tuple[float, float, float],
    regions: Regions,
    *,
    densities: Sequence[float] = DENSITIES,
    methods: Sequence[str] = ("copy", "sdf"),
    policy: str = "fixed",
    seed: int = 0,
    volume: Volume | None = None,
    network: TrainedCorrespondence | None = None,
) -> Iterator[QualityRow]:
    """Take slices away, interpolate, and compare.

    Args:
        case: Name of the volume.
        truth: Dense label map with slices first, from inferior to superior.
        spacing: Distance between slices and edges of a pixel, in mm.
        regions: Label values of each region.
        densities: Densities that are measured.
        methods: Methods that are measured.
        policy: ``fixed`` or ``random``.
        seed: Seed of ``random``.
        volume: Image for ``learned`` and ``chain``.
        network: Network for ``learned`` and ``chain``.
    """
    for density in densities:
        annotated = chosen(policy, len(truth), density, seed=seed, case=case)
        rest = np.setdiff1d(np.arange(len(truth)), annotated)
        for method in methods:
            start = process_time()
            filled = interpolate(truth, annotated, method=method, volume=volume, spacing=spacing[1:], network=network)
            seconds = process_time() - start
            for name, values in regions.items():
                ours, theirs = np.isin(filled, values), np.isin(truth, values)
                yield QualityRow(
                    case=case,
                    region=name,
                    method=method,
                    density=density,
                    slices=len(annotated),
                    gap_mm=spacing[0] * len(truth) / len(annotated),
                    iou=overlap(ours, theirs),
                    iou_unannotated=overlap(ours[rest], theirs[rest]),
                    seconds=seconds,
                )


def overlap(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """Intersection over union; NaN if both are empty.

    Examples:
        >>> overlap(np.array([True, True, False]), np.array([False, True, True]))
        0.3333333333333333
    """
    union = int(np.count_nonzero(ours | theirs))
    return int(np.count_nonzero(ours & theirs)) / union if union else math.nan


@dataclass(frozen=True)
class MeanQuality:
    """Mean quality over several volumes.

    Attributes:
        volumes: Number of volumes that show the region.
        iou: Mean over these volumes.
        iou_unannotated: Mean over the volumes that show the region in a slice without annotation.
    """

    volumes: int
    iou: float
    iou_unannotated: float


def mean(rows: Iterable[QualityRow]) -> MeanQuality:
    """Average rows, without values that are NaN.

    Raises:
        ValueError: If there is no row.
    """
    kept = list(rows)
    if not kept:
        raise ValueError("rows must not be empty: there is nothing to average")
    everywhere = [row.iou for row in kept if not math.isnan(row.iou)]
    between = [row.iou_unannotated for row in kept if not math.isnan(row.iou_unannotated)]
    means = (statistics.fmean(values) if values else math.nan for values in (everywhere, between))
    return MeanQuality(len(everywhere), *means)


def by_density(rows: Iterable[QualityRow]) -> dict[str, MeanQuality]:
    """Means by density, such as ``0.05``."""
    kept = list(rows)
    densities = sorted({row.density for row in kept})
    return {f"{density:g}": mean(row for row in kept if row.density == density) for density in densities}


def by_gap(rows: Iterable[QualityRow]) -> dict[str, MeanQuality]:
    """Means by ranges of gaps, such as ``6-12 mm``."""
    kept = list(rows)
    means = {}
    for low, high in pairwise(GAPS):
        within = [row for row in kept if low <= row.gap_mm < high]
        if within:
            means[f"{low:g}-{high:g} mm" if math.isfinite(high) else f"from {low:g} mm"] = mean(within)
    return means


def summary(rows: Iterable[QualityRow]) -> list[dict[str, Any]]:
    """Means of each region and method, by density and by gap."""
    kept = list(rows)
    summaries = []
    for region, method in dict.fromkeys((row.region, row.method) for row in kept):
        matching = [row for row in kept if (row.region, row.method) == (region, method)]
        groups = {"by_density": by_density(matching), "by_gap": by_gap(matching)}
        means = {key: {name: asdict(quality) for name, quality in group.items()} for key, group in groups.items()}
        summaries.append({"region": region, "method": method, **means})
    return summaries


def printed(rows: Iterable[QualityRow]) -> Iterator[str]:
    """Lines of text with the summary."""
    summaries = summary(rows)
    for title, key in (("density", "by_density"), ("gap between annotated slices", "by_gap")):
        columns = list(dict.fromkeys(name for entry in summaries for name in entry[key]))
        columns.sort(key=lambda name: float(name.removeprefix("from ").partition("-")[0].partition(" ")[0]))
        yield f"IoU by {title}, over all slices (over slices without annotation)"
        yield f"{'':20}" + "".join(f"{name:>16}" for name in columns)
        for entry in summaries:
            cells = [
                f"{m['iou']:.3f} ({m['iou_unannotated']:.3f})" for m in (entry[key].get(name) for name in columns) if m
            ]
            yield f"{entry['region']} {entry['method']}".ljust(20) + "".join(f"{cell:>16}" for cell in cells)


def ignore_of(folder: Path) -> int | None:
    """Value of voxels that nobody annotated, if the folder is a raw data set of nnU-Net with such a value."""
    file = folder / "dataset.json"
    described = read_json(file) if file.is_file() else {}
    value = described.get("labels", {}).get(IGNORE)
    return None if value is None else int(value)


def regions_of(truth: Array) -> dict[str, list[int]]:
    """Label values of the foreground as a whole and, if there are several classes, of each class.

    Examples:
        >>> regions_of(np.array([0, 2, 1]))
        {'foreground': [1, 2], '1': [1], '2': [2]}
    """
    classes = [int(value) for value in np.unique(truth) if value]
    return {"foreground": classes} | ({str(value): [value] for value in classes} if len(classes) > 1 else {})


def table(rows: Iterable[QualityRow]) -> str:
    """Write all rows as csv."""
    text = io.StringIO()
    names = [field.name for field in fields(QualityRow)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [getattr(row, name) for name in names]
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
    return text.getvalue()
