"""Skeletons of masks, by scikit-image."""

# mypy: untyped-calls-exclude="skimage"
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure
from skimage.morphology import skeletonize

from nnunet_tricks.tricks.targets.distance import to_nearest
from nnunet_tricks.tricks.targets.pieces import Annotated, box_around

TUBE = 2
"""Voxels by which a skeleton is widened, so that a prediction beside it is not wholly wrong."""


def tubed_skeleton(
    mask: NDArray[np.bool_], spacing: Sequence[float], annotated: Annotated | None = None
) -> NDArray[np.float32]:
    """The centre line of an object, widened, but no wider than the object.

    Args:
        mask: Voxels of the object, 2D or 3D.
        spacing: Not used: thinning goes by neighbours.
        annotated: True where a voxel is annotated, ``None`` where all are. The skeleton only has voxels that are surely
            in the middle of the object: the nearest annotated voxel outside is nearer than any un-annotated one.

    Returns:
        1 on the widened skeleton, else 0; 0 everywhere if the object is absent, and where nobody annotated.

    Examples:
        >>> tubed_skeleton(np.ones((15, 40), dtype=bool), (1, 1))[:, 20]
        array([0., 0., 0., 0., 0., 1., 1., 1., 1., 1., 0., 0., 0., 0., 0.],
              dtype=float32)
    """
    if annotated is not None:
        mask = mask & annotated
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    # Nothing outside the box around an object changes its skeleton.
    box = box_around(mask)
    line = np.zeros(mask.shape, bool)
    line[box] = skeletonize(np.ascontiguousarray(mask[box])) > 0
    if annotated is not None:
        outside = annotated & ~mask
        if not outside.any():
            return np.zeros(mask.shape, np.float32)
        edges = (1.0,) * mask.ndim
        line &= to_nearest(outside, edges) < to_nearest(~annotated, edges)
    tube = np.zeros(mask.shape, np.float32)
    tube[box] = binary_dilation(line[box], generate_binary_structure(mask.ndim, 1), iterations=TUBE) & mask[box]
    return tube
