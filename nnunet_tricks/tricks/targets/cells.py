"""Cells of objects: every voxel belongs to the object that is nearest to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import Annotated, Kinds


def cells(
    kinds: Kinds, spacing: Sequence[float], annotated: Annotated | None = None, *, physical: bool = False
) -> NDArray[np.float32]:
    """The number of the nearest object for each voxel, a Voronoi diagram of the objects.

    Args:
        kinds: 0 where there is nothing; voxels of one kind that touch, corners included, are one object. 2D or 3D.
        spacing: Edges of a voxel in mm, in the order of the axes.
        annotated: True where a voxel is annotated, ``None`` where all are. Only what is annotated is an object, and
            only annotated voxels are in a cell; see ``objects``.
        physical: Whether distances are measured in mm, and not in voxels.

    Returns:
        Whole numbers from 1, those of ``objects``; 0 everywhere where there is no object, and where nobody annotated.

    Examples:
        >>> cells(np.array([[1, 0, 0, 0, 0, 2, 2]]), (1, 1))
        array([[1., 1., 1., 2., 2., 2., 2.]], dtype=float32)
        >>> cells(np.array([[0, 0, 0]]), (1, 1))
        array([[0., 0., 0.]], dtype=float32)
    """
    numbers = objects(kinds, spacing, annotated)
    most = numbers.max()
    if most <= 1:
        # The distance transform of an image without objects has no nearest voxel.
        numbers[:] = most
    else:
        nearest = distance_transform_edt(
            numbers == 0, sampling=spacing if physical else None, return_distances=False, return_indices=True
        )
        numbers = numbers[tuple(nearest)]
    return numbers if annotated is None else numbers * annotated
