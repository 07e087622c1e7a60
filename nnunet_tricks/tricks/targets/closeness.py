"""The closeness of each voxel to the border of its object, or of a background voxel to that of any object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.tricks.targets.distance import signed_distance
from nnunet_tricks.tricks.targets.pieces import Annotated, Kinds, box_around


def closeness(kinds: Kinds, spacing: Sequence[float], annotated: Annotated | None = None) -> NDArray[np.float32]:
    """One less the distance to the border, as a share of the largest one on the same side.

    Args:
        kinds: 0 for background, another value for each class. 2D or 3D.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated, ``None`` where all are; see ``signed_distance``.

    Returns:
        Closeness in [0, 1]: 1 on the border, and 0 where a class or the background is farthest from it. 0 everywhere if
        there is no border, and where nobody annotated.

    Examples:
        >>> closeness(np.array([[0, 0, 0, 0, 1, 1, 1]]), (1, 1))
        array([[0.  , 0.25, 0.5 , 0.75, 1.  , 0.5 , 0.  ]], dtype=float32)
    """
    close = np.zeros(kinds.shape, np.float32)
    if annotated is None:
        return _of_all(kinds, spacing)
    for value in np.unique(kinds[annotated]):
        mask = kinds == value
        if mask.all():
            return close
        # The border belongs to the classes: its voxels have 0, those of background next to it 1.
        distance = -signed_distance(mask, spacing, annotated) if value else signed_distance(~mask, spacing, annotated)
        mask &= annotated
        if mask.sum() == annotated.sum():
            return close
        close[mask] = _scaled(distance[mask], spacing)
    return close


def _of_all(kinds: Kinds, spacing: Sequence[float]) -> NDArray[np.float32]:
    """As ``closeness``, where all is annotated."""
    close = np.zeros(kinds.shape, np.float32)
    objects = kinds != 0
    values = np.unique(kinds[objects])
    everything = objects.all()
    if not len(values) or (everything and len(values) == 1):
        return close
    if not everything:
        distance = signed_distance(objects, spacing)
        close[~objects] = _scaled(distance[~objects], spacing)
        if len(values) == 1:
            # The border of the only class is that of the background.
            close[objects] = _scaled(-distance[objects], spacing)
            return close
    for value in values:
        mask = kinds == value
        # The nearest voxel of the border lies within the class.
        box = box_around(mask, margin=1)
        inside = mask[box]
        close[box][inside] = _scaled(-signed_distance(inside, spacing)[inside], spacing)
    return close


def _scaled(distances: NDArray[np.float32], spacing: Sequence[float]) -> NDArray[np.float32]:
    largest = distances.max()
    # Nothing but border: what its voxels have instead of 0 comes from rounding.
    if largest < min(spacing) / 2:
        return np.ones_like(distances)
    scaled: NDArray[np.float32] = 1 - distances / largest
    return scaled
