"""Objects of a truth: what hangs together and is of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.targets.maps import Kinds


def objects(kinds: Kinds, spacing: Sequence[float]) -> NDArray[np.float32]:
    """A number for each object.

    Args:
        kinds: 0 where there is nothing; voxels of one kind that touch, corners included, are one object. 2D or 3D.
        spacing: Not looked at.

    Returns:
        0 where there is nothing, from 1 elsewhere, whole numbers.

    Examples:
        >>> objects(np.array([[1, 1, 2, 2, 0, 1]]), (1, 1))
        array([[1., 1., 2., 2., 0., 3.]], dtype=float32)
    """
    corners_too: Literal[8, 26] = 8 if kinds.ndim == 2 else 26
    found = cc3d.connected_components(np.ascontiguousarray(kinds, np.int32), connectivity=corners_too)
    return found.astype(np.float32)
