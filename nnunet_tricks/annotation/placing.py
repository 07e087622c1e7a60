"""Label maps, brought onto the grid of their image from any place of their first voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.axes import Axial

_TOLERANCE = 0.05
"""Largest distance, in voxels, between the corners of a label map and voxels of its image."""


def turned_like(array: NDArray[Any], current: Axial, wanted: Axial) -> NDArray[Any] | None:
    """Swap and flip the axes of an array, indexed (k, j, i), so that it is stored like another volume.

    The array may be smaller than the other volume, as 3D Slicer's files are, or reach beyond it. What it does not cover
    is 0, and what lies outside is left out.

    Args:
        array: Array of a volume.
        current: Places of its voxels.
        wanted: Places of the voxels of the other volume.

    Returns:
        The array, or ``None`` if the voxels of the two volumes are not on one grid, or not in the same place.
    """
    # From indices of the label map to those of the image.
    change = np.linalg.solve(wanted.affine, current.affine)
    turn = np.rint(change[:3, :3])
    if not np.array_equal(np.abs(turn).sum(axis=0), np.ones(3)) or not np.array_equal(turn @ turn.T, np.eye(3)):
        return None
    start = np.rint(change[:3, 3])
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    # Even a single slice has a spacing and a direction.
    corners *= np.maximum(np.array(current.shape) - 1, 1)
    off = corners @ change[:3, :3].T + change[:3, 3] - (corners @ turn.T + start)
    if np.abs(off).max() > _TOLERANCE:
        return None
    source = np.abs(turn).argmax(axis=1)
    stored = array.transpose(2, 1, 0).transpose(source)
    backwards = turn.sum(axis=1) < 0
    stored = stored[tuple(slice(None, None, -1 if back else 1) for back in backwards)]
    first = (start - np.where(backwards, np.array(current.shape)[source] - 1, 0)).astype(int)
    if not first.any() and stored.shape == wanted.shape:
        return stored.transpose(2, 1, 0)
    low = np.maximum(first, 0)
    high = np.minimum(first + stored.shape, wanted.shape)
    if (high <= low).any():
        return None
    placed = np.zeros(wanted.shape, array.dtype)
    placed[tuple(map(slice, low, high))] = stored[tuple(map(slice, low - first, high - first))]
    return placed.transpose(2, 1, 0)
