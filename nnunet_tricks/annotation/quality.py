"""How good interpolated masks are, where the truth is known."""

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
"""Of the paper's tables."""

GAPS = (0.0, 3.0, 6.0, 12.0, 25.0, 50.0, math.inf)
"""Borders between classes of gaps, in mm."""


@dataclass(frozen=True)
class QualityRow:
    """One volume, region, method and density.

    Attributes:
        case: Name of the volume.
        region: Name of the class or region.
        method: Of interpolation.
        density: As asked for.
        slices: That are annotated.
        gap_mm: From one annotated slice to the next, on average.
        iou: Intersection over union over all slices; NaN where neither mask shows the region.
        iou_unannotated: The same over slices that are not annotated.
        seconds: That interpolation took, of processor time.
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
        spacing: mm between slices, and of a pixel's edges.
        regions: Label values of each region.
        densities: To try.
        methods: To try.
        policy: ``fixed`` or ``random``.
        seed: Of ``random``.
        volume: The image, for ``learned``.
        network: For ``learned``.
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
class Mean:
    """Of several volumes.

    Attributes:
        volumes: That show the region.
        iou: Mean over these.
        iou_unannotated: Mean over those of which a slice without annotation shows it.
    """

    volumes: int
    iou: float
    iou_unannotated: float


def mean(rows: Iterable[QualityRow]) -> Mean:
    """Means over rows, without those that are NaN.

    Raises:
        ValueError: If there is no row.
    """
    kept = list(rows)
    if not kept:
        raise ValueError("there is no row to take the mean of")
    everywhere = [row.iou for row in kept if not math.isnan(row.iou)]
    between = [row.iou_unannotated for row in kept if not math.isnan(row.iou_unannotated)]
    means = (statistics.fmean(values) if values else math.nan for values in (everywhere, between))
    return Mean(len(everywhere), *means)


def by_density(rows: Iterable[QualityRow]) -> dict[str, Mean]:
    """Means by density, such as ``0.05``."""
    kept = list(rows)
    found = sorted({row.density for row in kept})
    return {f"{density:g}": mean(row for row in kept if row.density == density) for density in found}


def by_gap(rows: Iterable[QualityRow]) -> dict[str, Mean]:
    """Means by classes of gaps, such as ``6-12 mm``."""
    kept = list(rows)
    found = {}
    for low, high in pairwise(GAPS):
        within = [row for row in kept if low <= row.gap_mm < high]
        if within:
            found[f"{low:g}-{high:g} mm" if math.isfinite(high) else f"from {low:g} mm"] = mean(within)
    return found


def summary(rows: Iterable[QualityRow]) -> list[dict[str, Any]]:
    """Means of each region and method, by density and by gap."""
    kept = list(rows)
    found = []
    for region, method in dict.fromkeys((row.region, row.method) for row in kept):
        own = [row for row in kept if (row.region, row.method) == (region, method)]
        groups = {"by_density": by_density(own), "by_gap": by_gap(own)}
        means = {key: {name: asdict(one) for name, one in group.items()} for key, group in groups.items()}
        found.append({"region": region, "method": method, **means})
    return found


def printed(rows: Iterable[QualityRow]) -> Iterator[str]:
    """The summary as lines of text."""
    found = summary(rows)
    for title, key in (("density", "by_density"), ("gap between annotated slices", "by_gap")):
        columns = list(dict.fromkeys(name for one in found for name in one[key]))
        columns.sort(key=lambda name: float(name.removeprefix("from ").partition("-")[0].partition(" ")[0]))
        yield f"IoU by {title}, over all slices (over slices without annotation)"
        yield f"{'':20}" + "".join(f"{name:>16}" for name in columns)
        for one in found:
            cells = [
                f"{m['iou']:.3f} ({m['iou_unannotated']:.3f})" for m in (one[key].get(name) for name in columns) if m
            ]
            yield f"{one['region']} {one['method']}".ljust(20) + "".join(f"{cell:>16}" for cell in cells)


def ignore_of(folder: Path) -> int | None:
    """The value of voxels that nobody annotated, if the folder is a raw data set of nnU-Net that has one."""
    file = folder / "dataset.json"
    described = read_json(file) if file.is_file() else {}
    found = described.get("labels", {}).get(IGNORE)
    return None if found is None else int(found)


def regions_of(truth: Array) -> dict[str, list[int]]:
    """Everything but background together, and each class where there are several.

    Examples:
        >>> regions_of(np.array([0, 2, 1]))
        {'foreground': [1, 2], '1': [1], '2': [2]}
    """
    classes = [int(value) for value in np.unique(truth) if value]
    return {"foreground": classes} | ({str(value): [value] for value in classes} if len(classes) > 1 else {})


def table(rows: Iterable[QualityRow]) -> str:
    """All rows as csv."""
    text = io.StringIO()
    names = [field.name for field in fields(QualityRow)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [getattr(row, name) for name in names]
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
    return text.getvalue()
