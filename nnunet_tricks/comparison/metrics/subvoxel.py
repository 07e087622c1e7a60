"""Distances between two surfaces that pass between voxel centres, each piece weighted with its area.

The definition of DeepMind's ``surface-distance`` (Nikolov et al., "Clinically applicable segmentation of head and neck
anatomy for radiotherapy", 2021): where the eight voxels around a voxel's corner differ, the surface of marching cubes
passes through; its area within the corner's cell is a surface element, placed at the corner. In 2D contours and
lengths.
"""

# mypy: untyped-calls-exclude="skimage"
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.metrics.nearest import Floats, Mask, distances, within

Codes = NDArray[np.uint8]

ROUNDING = 1e-9
"""Of all of the area: sums of areas that are as great but for rounding count as equal."""


@dataclass(frozen=True)
class Surfaces:
    """Of every surface element the distance to the other surface, and its area.

    Attributes:
        to_truth: Distances from the prediction's surface.
        to_prediction: Distances from the truth's surface.
        predicted_areas: Of the prediction's elements.
        true_areas: Of the truth's elements.
    """

    to_truth: Floats
    to_prediction: Floats
    predicted_areas: Floats
    true_areas: Floats

    @property
    def directed(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Distances with areas, of both directions."""
        return (self.to_truth, self.predicted_areas), (self.to_prediction, self.true_areas)

    def percentile(self, percent: float) -> float:
        """The greater of both directions' percentiles by area."""
        return max(_percentile(found, areas, percent) for found, areas in self.directed)

    def mean(self) -> float:
        """Over the area of both surfaces together."""
        (found, found_areas), (there, there_areas) = self.directed
        return float((found @ found_areas + there @ there_areas) / (found_areas.sum() + there_areas.sum()))

    def mean_of_means(self) -> float:
        """Each direction's mean counts half."""
        return float(np.mean([found @ areas / areas.sum() for found, areas in self.directed]))

    def within(self, tolerance: float) -> float:
        """The share of both surfaces' area that is no further than this from the other."""
        near = sum(areas[within(found, tolerance)].sum() for found, areas in self.directed)
        return float(near / sum(areas.sum() for _, areas in self.directed))


def surface_distances(prediction: Mask, truth: Mask, spacing: tuple[float, ...]) -> Surfaces:
    """Measure both directions.

    Args:
        prediction: Not empty, of two or three dimensions.
        truth: Not empty, same shape.
        spacing: Size of a voxel along each axis.
    """
    found, there = neighbour_codes(prediction), neighbour_codes(truth)
    full = 2 ** (2**prediction.ndim) - 1
    on_found, on_there = (found != 0) & (found != full), (there != 0) & (there != full)
    areas = _areas(spacing)
    return Surfaces(
        to_truth=distances(on_found, on_there, spacing),
        to_prediction=distances(on_there, on_found, spacing),
        predicted_areas=areas[found[on_found]],
        true_areas=areas[there[on_there]],
    )


def neighbour_codes(mask: Mask) -> Codes:
    """Which of the voxels around each voxel corner are in the mask, as the bits of a number.

    Args:
        mask: Outside of it is background.

    Returns:
        One longer than the mask along each axis.
    """
    codes = np.zeros([length + 1 for length in mask.shape], dtype=np.uint8)
    inside = mask.view(np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        # The voxel at a corner's upper side along an axis has the corner's own index there, else one less.
        where = tuple(slice(1 - up, 1 - up + length) for up, length in zip(corner, mask.shape, strict=True))
        codes[where] |= inside << np.uint8(bit)
    return codes


def _percentile(found: Floats, areas: Floats, percent: float) -> float:
    order = np.argsort(found)
    share = np.cumsum(areas[order])
    position = int(np.searchsorted(share / share[-1], percent / 100 - ROUNDING))
    return float(found[order[min(position, len(found) - 1)]])


@lru_cache(maxsize=64)
def _areas(spacing: tuple[float, ...]) -> Floats:
    """Area, or length in 2D, of the surface within a cell, for every code."""
    if len(spacing) == 2:
        return _lengths(spacing)
    depth, height, width = spacing
    faces = np.array([height * width, depth * width, depth * height])
    return np.array([np.linalg.norm(normals * faces, axis=1).sum() for normals in _normals()])


def _lengths(spacing: tuple[float, ...]) -> Floats:
    """Marching squares: a corner is cut diagonally, two corners of one side along the other axis."""
    diagonal = math.hypot(*spacing) / 2
    lengths = np.full(16, diagonal)
    lengths[[0b0000, 0b1111]] = 0
    lengths[[0b0011, 0b1100]] = spacing[1]
    lengths[[0b0101, 0b1010]] = spacing[0]
    lengths[[0b0110, 0b1001]] = 2 * diagonal
    return lengths


@cache
def _normals() -> tuple[Floats, ...]:
    """For every code the triangles of marching cubes in a cell of edge 1, each as its normal of the length of its area.

    Lorensen's original triangulation of whichever has fewer voxels, the mask or the rest.
    """
    from skimage.measure import marching_cubes  # here, because it takes a while to import

    normals: list[Floats] = [np.zeros((0, 3))] * 256
    for code in range(1, 255):
        bits = [code >> bit & 1 for bit in range(8)]
        cube = np.array(bits if sum(bits) <= 4 else [1 - bit for bit in bits], dtype=np.float32).reshape(2, 2, 2)
        vertices, triangles, *_ = marching_cubes(cube, 0.5, method="lorensen")
        a, b, c = np.moveaxis(vertices[triangles].astype(np.float64), 1, 0)
        normals[code] = np.cross(b - a, c - a) / 2
    return tuple(normals)
