r"""Shapes between two slices, by blending signed distances to their borders.

Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE TMI 1990. Between annotated slices a and
b, a pixel of slice z belongs to the object if $(b - z) d_a + (z - a) d_b > 0$, with $d$ positive inside. Distances are
clipped to $\pm R$, the largest distance from the border inside the object in either slice. If a slice does not show the
object, $d = -R$, so the object ends half-way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from nnunet_tricks.annotation.interpolation.nearest import copied

Array = NDArray[np.integer]
Mask = NDArray[np.bool_]
Distances = NDArray[np.float32]


def blended(labels: Array, annotated: Sequence[int], spacing: tuple[float, float] = (1.0, 1.0)) -> Array:
    """Interpolate labels between annotated slices, and copy the first and the last beyond them.

    All classes together decide what is foreground. The class of a foreground pixel is the one with the highest blend,
    so classes neither overlap nor leave holes between them.

    Args:
        labels: Label map with slices first, 0 for background; only annotated slices are read.
        annotated: Indices of annotated slices, ascending.
        spacing: Edges of a pixel in mm.

    Returns:
        A label map of the same shape and type.
    """
    result = copied(labels, annotated)
    for first, last in pairwise(annotated):
        if last - first > 1:
            _fill(result, first, last, spacing)
    return result


def _fill(result: Array, first: int, last: int, spacing: tuple[float, float]) -> None:
    """Fill the slices between two neighbouring annotated ones, in place."""
    ends = result[[first, last]]
    result[first + 1 : last] = 0
    rows, columns = (np.flatnonzero(ends.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        return
    # Outside the box of both shapes both distances are negative, and so is any blend.
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    ends = ends[:, box[0], box[1]]
    classes = [int(value) for value in np.unique(ends) if value]
    union, *by_class = signed(ends, classes, spacing)
    for index in range(first + 1, last):
        weights = (last - index, index - first)
        inside = _blend(union, weights) > 0
        best = np.argmax([_blend(distances, weights) for distances in by_class], axis=0)
        result[index][box] = np.where(inside, np.asarray(classes, result.dtype)[best], 0)


def _blend(ends: Distances, weights: tuple[int, int]) -> Distances:
    """Blend with whole weights, so that nothing is rounded differently in a reversed volume."""
    return np.float32(weights[0]) * ends[0] + np.float32(weights[1]) * ends[1]


def signed(slices: Array, classes: Sequence[int], spacing: tuple[float, float]) -> Distances:
    """Signed distances to the borders of the foreground and of each class.

    Args:
        slices: Label maps of shape (n, rows, columns).
        classes: Classes that occur in them.
        spacing: Edges of a pixel in mm.

    Returns:
        Distances of shape (1 + classes, n, rows, columns), foreground first. They are positive inside, and clipped to
        the largest distance inside the object in any of the slices.
    """
    union = _of_mask(slices != 0, spacing)
    # A single class is the foreground.
    by_class = [_of_mask(slices == value, spacing) for value in classes] if len(classes) > 1 else [union]
    return np.stack([union, *by_class])


def _of_mask(masks: NDArray[np.bool_], spacing: tuple[float, float]) -> Distances:
    inside = [_inside(mask, spacing) for mask in masks]
    radius = max(float(depth.max()) for depth in inside)
    distances = np.full(masks.shape, -radius, np.float32)
    for mask, depth, signed_distances in zip(masks, inside, distances, strict=True):
        if mask.any():
            signed_distances[:] = np.clip(depth - distance_transform_edt(~mask, sampling=spacing), -radius, radius)
    return distances


def _inside(mask: Mask, spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Distance of pixels from the outside; everything around the box is outside."""
    depth: NDArray[np.float64] = distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1]
    return depth
