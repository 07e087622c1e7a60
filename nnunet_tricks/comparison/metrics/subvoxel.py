"""Distances between two surfaces that pass between voxel centres, each element weighted with its area.

This is the definition of DeepMind's ``surface-distance`` (Nikolov et al., "Clinically applicable segmentation of head
and neck anatomy for radiotherapy", 2021). Where the eight voxels around a voxel corner differ, the surface of marching
cubes passes through. Its area within the corner's cell is a surface element, placed at the corner. In 2D surfaces are
contours and areas are lengths.
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
"""Share of the whole area up to which two sums of areas count as equal."""


@dataclass(frozen=True)
class Surfaces:
    """Distance to the other surface, and area, of every surface element.

    Attributes:
        to_truth: Distances from the prediction's surface.
        to_prediction: Distances from the truth's surface.
        predicted_areas: Areas of the prediction's elements.
        true_areas: Areas of the truth's elements.
    """

    to_truth: Floats
    to_prediction: Floats
    predicted_areas: Floats
    true_areas: Floats

    @property
    def directed(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Distances with areas, for both directions."""
        return (self.to_truth, self.predicted_areas), (self.to_prediction, self.true_areas)

    def percentile(self, percent: float) -> float:
        """The greater of both directions' percentiles by area."""
        return max(_percentile(lengths, areas, percent) for lengths, areas in self.directed)

    def mean(self) -> float:
        """Mean distance over the area of both surfaces together."""
        total = self.to_truth @ self.predicted_areas + self.to_prediction @ self.true_areas
        return float(total / (self.predicted_areas.sum() + self.true_areas.sum()))

    def mean_of_means(self) -> float:
        """Mean of the two directions' mean distances."""
        return float(np.mean([lengths @ areas / areas.sum() for lengths, areas in self.directed]))

    def within(self, tolerance: float) -> float:
        """Share of the area of both surfaces that is within the tolerance of the other surface."""
        near = sum(areas[within(lengths, tolerance)].sum() for lengths, areas in self.directed)
        return float(near / sum(areas.sum() for _, areas in self.directed))


def surface_distances(prediction: Mask, truth: Mask, spacing: tuple[float, ...]) -> Surfaces:
    """Measure the distances between two surfaces in both directions.

    Args:
        prediction: Mask of two or three dimensions, not empty.
        truth: Mask of the same shape, not empty.
        spacing: Size of a voxel along each axis.
    """
    predicted, true = neighbour_codes(prediction), neighbour_codes(truth)
    full = 2 ** (2**prediction.ndim) - 1
    on_predicted, on_true = (predicted != 0) & (predicted != full), (true != 0) & (true != full)
    areas = _areas(spacing)
    return Surfaces(
        to_truth=distances(on_predicted, on_true, spacing),
        to_prediction=distances(on_true, on_predicted, spacing),
        predicted_areas=areas[predicted[on_predicted]],
        true_areas=areas[true[on_true]],
    )


def neighbour_codes(mask: Mask) -> Codes:
    """For each voxel corner, the surrounding voxels that are in the mask, as the bits of a number.

    Args:
        mask: Mask; everything outside of its box is background.

    Returns:
        Numbers, with one more along each axis than the mask has voxels.
    """
    codes = np.zeros([length + 1 for length in mask.shape], dtype=np.uint8)
    inside = mask.view(np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        # The voxel at a corner's upper side along an axis has the corner's own index there, else one less.
        where = tuple(slice(1 - up, 1 - up + length) for up, length in zip(corner, mask.shape, strict=True))
        codes[where] |= inside << np.uint8(bit)
    return codes


def _percentile(lengths: Floats, areas: Floats, percent: float) -> float:
    order = np.argsort(lengths)
    share = np.cumsum(areas[order])
    position = int(np.searchsorted(share / share[-1], percent / 100 - ROUNDING))
    return float(lengths[order[min(position, len(lengths) - 1)]])


@lru_cache(maxsize=64)
def _areas(spacing: tuple[float, ...]) -> Floats:
    """Area of the surface within a cell, or length in 2D, for every code."""
    if len(spacing) == 2:
        return _lengths(spacing)
    depth, height, width = spacing
    faces = np.array([height * width, depth * width, depth * height])
    return np.array([np.linalg.norm(normals * faces, axis=1).sum() for normals in _normals()])


def _lengths(spacing: tuple[float, ...]) -> Floats:
    """Lengths by marching squares: one corner is cut off diagonally, two corners of a side parallel to that side."""
    diagonal = math.hypot(*spacing) / 2
    lengths = np.full(16, diagonal)
    lengths[[0b0000, 0b1111]] = 0
    lengths[[0b0011, 0b1100]] = spacing[1]
    lengths[[0b0101, 0b1010]] = spacing[0]
    lengths[[0b0110, 0b1001]] = 2 * diagonal
    return lengths


@cache
def _normals() -> tuple[Floats, ...]:
    """Triangles of marching cubes in a cell of edge 1, for every code. Each is a normal with the length of its area.

    The triangulation is Lorensen's original one, of the mask or of its complement, whichever has fewer voxels.
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
