"""Objects of a truth: connected voxels of one kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.tricks.targets.pieces import Annotated, Kinds, components


def objects(kinds: Kinds, spacing: Sequence[float], annotated: Annotated | None = None) -> NDArray[np.float32]:
    """A number for each object.

    Args:
        kinds: 0 where there is nothing; voxels of one kind that touch, corners included, are one object. 2D or 3D.
        spacing: Not used.
        annotated: True where a voxel is annotated, ``None`` where all are. Parts of one kind that may be connected
            through voxels that nobody annotated are one object: nobody knows of a border between them.

    Returns:
        Whole numbers from 1; 0 where there is nothing and where nobody annotated.

    Examples:
        >>> objects(np.array([[1, 1, 2, 2, 0, 1]]), (1, 1))
        array([[1., 1., 2., 2., 0., 3.]], dtype=float32)
        >>> objects(np.array([[1, 1, 0, 1, 0, 1]]), (1, 1), np.array([[1, 1, 0, 1, 1, 1]], dtype=bool))
        array([[1., 1., 0., 1., 0., 2.]], dtype=float32)
    """
    if annotated is None:
        return components(kinds).astype(np.float32)
    numbers = np.zeros(kinds.shape, np.float32)
    for kind in np.unique(kinds[annotated]):
        mask = annotated & (kinds == kind)
        if kind:
            _, of_kind = np.unique(components(mask | ~annotated)[mask], return_inverse=True)
            numbers[mask] = numbers.max() + 1 + of_kind
    return numbers
