"""Metrics of distances between borders and surfaces, in the unit of the images' spacing and in pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nnunet_tricks.comparison.metrics.border import Distances
from nnunet_tricks.comparison.metrics.definition import Metric
from nnunet_tricks.comparison.metrics.nearest import within
from nnunet_tricks.comparison.metrics.pair import MaskPair
from nnunet_tricks.comparison.metrics.subvoxel import Surfaces

BORDER = "border voxels of P and G"
BORDER_RULE = "Border voxels have a face neighbour outside of the mask"
SURFACE = "surface elements of P and G"
SURFACE_RULE = "Elements lie at sub-voxel positions and are weighted with their area, as in DeepMind's surface-distance"


def _hausdorff(distances: Distances) -> float:
    return float(distances.pooled.max())


def _hausdorff95(distances: Distances) -> float:
    return float(np.percentile(distances.pooled, 95))


def _assd(distances: Distances) -> float:
    return float(distances.pooled.mean())


def _masd(distances: Distances) -> float:
    return float((distances.to_truth.mean() + distances.to_prediction.mean()) / 2)


BORDER_METRICS: dict[str, tuple[Callable[[Distances], float], str]] = {
    "HD": (_hausdorff, f"Hausdorff distance, the greatest distance between {BORDER}. {BORDER_RULE}"),
    "HD95": (
        _hausdorff95,
        f"interpolated 95th percentile of the pooled distances of both directions between {BORDER}. {BORDER_RULE}. "
        "MONAI takes the greater of two percentiles instead",
    ),
    "ASSD": (_assd, f"mean of the pooled distances of both directions between {BORDER}. {BORDER_RULE}"),
    "MASD": (
        _masd,
        f"mean of the two directions' mean distances between {BORDER}. {BORDER_RULE}. medpy calls this ASSD",
    ),
}

SURFACE_METRICS: dict[str, tuple[Callable[[Surfaces], float], str]] = {
    "subvoxel_HD95": (
        lambda surfaces: surfaces.percentile(95),
        f"greater of the two directions' 95th percentiles of the distance between {SURFACE}. {SURFACE_RULE}",
    ),
    "subvoxel_ASSD": (
        Surfaces.mean,
        f"mean distance between {SURFACE}, over the area of both surfaces together. {SURFACE_RULE}",
    ),
    "subvoxel_MASD": (
        Surfaces.mean_of_means,
        f"mean of the two directions' mean distances between {SURFACE}. {SURFACE_RULE}. Its two average distances are "
        "these means",
    ),
}


def metrics(tolerances: Sequence[float]) -> Iterator[Metric]:
    """All distance metrics. Those with a tolerance occur once for each tolerance."""
    for in_pixels in (False, True):
        for name, (border_function, definition) in BORDER_METRICS.items():
            yield _distance("surface", name, definition, _on_borders(border_function, in_pixels), in_pixels)
        for tolerance in tolerances:
            yield _border_dice(tolerance, in_pixels)
        for name, (surface_function, definition) in SURFACE_METRICS.items():
            yield _distance("subvoxel", name, definition, _on_surfaces(surface_function, in_pixels), in_pixels)
        for tolerance in tolerances:
            yield _surface_dice(tolerance, in_pixels)


def _on_borders(function: Callable[[Distances], float], in_pixels: bool) -> Callable[[MaskPair], float]:
    return lambda pair: function(pair.borders_px if in_pixels else pair.borders)


def _on_surfaces(function: Callable[[Surfaces], float], in_pixels: bool) -> Callable[[MaskPair], float]:
    return lambda pair: function(pair.surfaces_px if in_pixels else pair.surfaces)


def _distance(group: str, name: str, definition: str, function: Callable[[MaskPair], float], in_pixels: bool) -> Metric:
    return Metric(
        name=f"{name}_px" if in_pixels else name,
        group=f"{group}_px" if in_pixels else group,
        definition=f"{name} with voxels of size 1" if in_pixels else definition,
        unit="px" if in_pixels else "mm",
        better="lower",
        function=function,
        missed="diagonal in pixels" if in_pixels else "diagonal",
        invented="diagonal in pixels" if in_pixels else "diagonal",
    )


def _border_dice(tolerance: float, in_pixels: bool) -> Metric:
    def share(distances: Distances) -> float:
        return float(np.mean(within(distances.pooled, tolerance)))

    return _tolerant("surface", "NSD", BORDER, BORDER_RULE, _on_borders(share, in_pixels), tolerance, in_pixels)


def _surface_dice(tolerance: float, in_pixels: bool) -> Metric:
    function = _on_surfaces(lambda surfaces: surfaces.within(tolerance), in_pixels)
    return _tolerant("subvoxel", "subvoxel_NSD", SURFACE, SURFACE_RULE, function, tolerance, in_pixels)


def _tolerant(
    group: str,
    name: str,
    elements: str,
    rule: str,
    function: Callable[[MaskPair], float],
    tolerance: float,
    in_pixels: bool,
) -> Metric:
    return Metric(
        name=f"{name}{'_px' if in_pixels else ''}@{tolerance:.12g}",
        group=f"{group}_px" if in_pixels else group,
        definition=(
            f"normalised surface Dice, the share of {elements} at most {tolerance:.12g} {'px' if in_pixels else 'mm'} "
            f"from those of the other mask. {rule}. A distance 0.001 % above the tolerance still counts, because "
            "spacings are rounded"
        ),
        unit="1",
        better="higher",
        function=function,
        tolerance=tolerance,
        share=True,
    )
