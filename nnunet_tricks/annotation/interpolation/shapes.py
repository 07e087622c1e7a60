r"""Shapes between two slices, by blending signed distances to their borders.

Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE TMI 1990. Between annotated slices a and
b a pixel of slice z belongs to the object where $(b - z) d_a + (z - a) d_b > 0$, with $d$ positive inside. Distances
are clipped to $\pm R$, the largest distance from the border inside the object in either slice, and $d = -R$ where a
slice does not show the object: it then ends half-way.
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
    """Labels between annotated slices; beyond the first and the last copies of them.

    All classes together decide what is foreground; the class of a pixel there is the one whose own blend is highest,
    so classes neither overlap nor leave holes between them.

    Args:
        labels: Label map with slices first, 0 for background; only annotated slices are read.
        annotated: Their indices, ascending.
        spacing: Edges of a pixel in mm.

    Returns:
        Of the same shape and type.
    """
    result = copied(labels, annotated)
    for first, last in pairwise(annotated):
        if last - first > 1:
            _fill(result, first, last, spacing)
    return result


def _fill(result: Array, first: int, last: int, spacing: tuple[float, float]) -> None:
    """The slices between two neighbours, in place."""
    ends = result[[first, last]]
    result[first + 1 : last] = 0
    rows, columns = (np.flatnonzero(ends.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not len(rows):
        return
    # Outside of the box of both shapes both distances are negative, and so is any blend.
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    ends = ends[:, box[0], box[1]]
    classes = [int(value) for value in np.unique(ends) if value]
    union, *own = signed(ends, classes, spacing)
    for index in range(first + 1, last):
        weights = (last - index, index - first)
        inside = _blend(union, weights) > 0
        best = np.argmax([_blend(one, weights) for one in own], axis=0)
        result[index][box] = np.where(inside, np.asarray(classes, result.dtype)[best], 0)


def _blend(ends: Distances, weights: tuple[int, int]) -> Distances:
    """Whole weights: nothing is rounded differently when the volume is turned over."""
    return np.float32(weights[0]) * ends[0] + np.float32(weights[1]) * ends[1]


def signed(slices: Array, classes: Sequence[int], spacing: tuple[float, float]) -> Distances:
    """Signed distances of slices to the borders of foreground and of each class.

    Args:
        slices: Label maps, of shape (n, rows, columns).
        classes: That occur in them.
        spacing: Edges of a pixel in mm.

    Returns:
        Of shape (1 + classes, n, rows, columns), foreground first; positive inside, clipped to the largest distance
        inside the object in any of the slices.
    """
    union = _of_one(slices != 0, spacing)
    # One class is the foreground.
    own = [_of_one(slices == value, spacing) for value in classes] if len(classes) > 1 else [union]
    return np.stack([union, *own])


def _of_one(masks: NDArray[np.bool_], spacing: tuple[float, float]) -> Distances:
    inside = [_inside(mask, spacing) for mask in masks]
    radius = max(float(one.max()) for one in inside)
    distances = np.full(masks.shape, -radius, np.float32)
    for mask, depth, found in zip(masks, inside, distances, strict=True):
        if mask.any():
            found[:] = np.clip(depth - distance_transform_edt(~mask, sampling=spacing), -radius, radius)
    return distances


def _inside(mask: Mask, spacing: tuple[float, float]) -> NDArray[np.float64]:
    """How far pixels are from what is outside; around the box is outside."""
    depth: NDArray[np.float64] = distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1]
    return depth
