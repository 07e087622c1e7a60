"""Weights where two objects come close to each other, by U-Net's formula."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from nnunet_tricks.tricks.targets.distance import signed_distance
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import Annotated, Kinds

REACH = 5
"""Reach of a border in sigma: beyond it, the weight is below 4e-6 of the largest."""


def border_weights(
    kinds: Kinds, spacing: Sequence[float], annotated: Annotated | None = None, *, border: float, sigma: float
) -> NDArray[np.float32]:
    r"""$w_0 \exp(-(d_1 + d_2)^2 / 2 \sigma^2)$ with the distances to the borders of the nearest two objects.

    Args:
        kinds: 0 where there is nothing; voxels of one kind that touch are one object.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated, ``None`` where all are. Parts that may be one object through voxels
            that nobody annotated are one, and have no border there.
        border: Weight where two objects meet, w0.
        sigma: Width of the border, in multiples of the mean edge of a voxel.

    Returns:
        The weights; 0 where there are not two objects, and where nobody annotated.

    Examples:
        >>> border_weights(np.array([[1, 1, 0, 1, 1, 0, 0]]), (1, 1), border=10, sigma=1).round(2)
        array([[0.  , 1.35, 1.35, 1.35, 0.11, 0.  , 0.  ]], dtype=float32)
    """
    edges = np.asarray(spacing, float) / np.exp(np.mean(np.log(spacing)))
    reach = np.ceil(REACH * sigma / edges).astype(int)
    numbers = objects(kinds, spacing, annotated).astype(np.int32)
    boxes = find_objects(numbers)
    near = _have_neighbours(boxes, reach)
    if not near.any():
        return np.zeros(kinds.shape, np.float32)
    first = np.full(kinds.shape, np.inf, np.float32)
    second = first.copy()
    for number in np.flatnonzero(near) + 1:
        box = boxes[number - 1]
        around = tuple(slice(max(side.start - far, 0), side.stop + far) for side, far in zip(box, reach, strict=True))
        mask = numbers[around] == number
        if mask.all():
            continue  # the object fills the box, and has no border there
        known = None if annotated is None else annotated[around]
        distance = np.abs(signed_distance(mask, edges, known))
        if known is not None and not distance.any():
            continue  # no voxel of its border is annotated
        second[around] = np.minimum(second[around], np.maximum(first[around], distance))
        first[around] = np.minimum(first[around], distance)
    weights = np.float32(border) * np.exp((first + second) ** 2 / np.float32(-2 * sigma**2))
    return weights if annotated is None else weights * annotated


def _have_neighbours(boxes: Sequence[tuple[slice, ...]], reach: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Whether another object's border reaches where an object's own border does, for each object."""
    if not boxes:
        return np.zeros(0, bool)
    starts = np.array([[side.start for side in box] for box in boxes]) - reach
    stops = np.array([[side.stop for side in box] for box in boxes]) + reach
    meet = [((starts < stop) & (start < stops)).all(1).sum() > 1 for start, stop in zip(starts, stops, strict=True)]
    return np.array(meet)
