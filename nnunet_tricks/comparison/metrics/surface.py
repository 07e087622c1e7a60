"""Metrics of distances between borders and surfaces, in the unit of the images' spacing and in pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nnunet_tricks.comparison.metrics.border import Distances
from nnunet_tricks.comparison.metrics.definition import Metric
from nnunet_tricks.comparison.metrics.nearest import within
from nnunet_tricks.comparison.metrics.pair import MaskPair
from nnunet_tricks.comparison.metrics.subvoxel import Surfaces

BORDER = "border voxels of P and G, those with a face neighbour outside of the mask"
SURFACE = "surface elements of P and G at sub-voxel positions, weighted with their area, as DeepMind's surface-distance"


def _hausdorff(found: Distances) -> float:
    return float(found.pooled.max())


def _hausdorff95(found: Distances) -> float:
    return float(np.percentile(found.pooled, 95))


def _assd(found: Distances) -> float:
    return float(found.pooled.mean())


def _masd(found: Distances) -> float:
    return float((found.to_truth.mean() + found.to_prediction.mean()) / 2)


BORDER_METRICS: dict[str, tuple[Callable[[Distances], float], str]] = {
    "HD": (_hausdorff, f"Hausdorff distance: the greatest distance between {BORDER}"),
    "HD95": (
        _hausdorff95,
        f"95th percentile, interpolated, of the distances of both directions pooled, between {BORDER}; MONAI instead "
        "takes the greater of two percentiles",
    ),
    "ASSD": (_assd, f"mean of the distances of both directions pooled, between {BORDER}"),
    "MASD": (_masd, f"mean of the two directions' mean distances, between {BORDER}; what medpy calls ASSD"),
}

SURFACE_METRICS: dict[str, tuple[Callable[[Surfaces], float], str]] = {
    "subvoxel_HD95": (
        lambda found: found.percentile(95),
        f"the greater of the two directions' 95th percentiles of distance, between {SURFACE}",
    ),
    "subvoxel_ASSD": (Surfaces.mean, f"mean distance over both surfaces' area together, between {SURFACE}"),
    "subvoxel_MASD": (
        Surfaces.mean_of_means,
        f"mean of the two directions' mean distances, between {SURFACE}, whose two average distances these are",
    ),
}


def metrics(tolerances: Sequence[float]) -> Iterator[Metric]:
    """All of them, those with a tolerance once for each."""
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
    def share(found: Distances) -> float:
        return float(np.mean(within(found.pooled, tolerance)))

    return _tolerant("surface", "NSD", BORDER, _on_borders(share, in_pixels), tolerance, in_pixels)


def _surface_dice(tolerance: float, in_pixels: bool) -> Metric:
    function = _on_surfaces(lambda found: found.within(tolerance), in_pixels)
    return _tolerant("subvoxel", "subvoxel_NSD", SURFACE, function, tolerance, in_pixels)


def _tolerant(
    group: str, name: str, what: str, function: Callable[[MaskPair], float], tolerance: float, in_pixels: bool
) -> Metric:
    return Metric(
        name=f"{name}{'_px' if in_pixels else ''}@{tolerance:.12g}",
        group=f"{group}_px" if in_pixels else group,
        definition=(
            f"normalised surface Dice: the share of {what}, that is no further than {tolerance:.12g} "
            f"{'pixels' if in_pixels else 'mm'} from the other; 0.001 % more still counts, as spacings are rounded"
        ),
        unit="1",
        better="higher",
        function=function,
        tolerance=tolerance,
    )
