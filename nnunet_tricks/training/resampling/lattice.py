"""Where the points of a turned and scaled patch lie, bit for bit as batchgeneratorsv2 computes it.

It multiplies the place of each point by a matrix. A point's place along an axis is the same for a whole plane of the
patch, so that most of these products are the same number. Whether sums of them are rounded as in the library that
multiplies matrices on this machine is tried once for each size of patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch import Tensor

CHUNK = 1 << 15
"""How many points are computed at once: they stay in the processor's cache."""

_TRIED = np.array([[0.91, -0.37, 0.23], [0.29, 1.13, -0.41], [-0.19, 0.31, 0.83]])


def affine_grid(patch: Sequence[int], matrix: Tensor, centre: Sequence[float], source: Sequence[int]) -> Tensor:
    """The grid of a patch, as ``torch.nn.functional.grid_sample`` takes it.

    Args:
        patch: Points along each axis.
        matrix: Places in the patch, as rows, times it are places in the source, both in voxels from the middle.
        centre: Place of the patch's middle in the source, from its corner.
        source: Voxels along each axis.

    Returns:
        (*patch, dimensions), float32.
    """
    middle = torch.Tensor([place - side / 2 for place, side in zip(centre, source, strict=True)])
    grid = torch.empty(*patch, len(patch))
    for axis, side in enumerate(source):
        planes, row = _products(patch, matrix[:, axis])
        target = grid[..., len(patch) - 1 - axis]
        rows = max(1, CHUNK // (target[0].numel()))
        for first in range(0, len(planes), rows):
            places = planes[first : first + rows, ..., None] + row
            target[first : first + rows] = places.add_(middle[axis]).div_(side / 2)
    return grid


def _products(patch: Sequence[int], column: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over all axes but the last, and what the last adds."""
    *others, row = (
        torch.linspace((1 - side) / 2, (side - 1) / 2, side) * factor
        for side, factor in zip(patch, column, strict=True)
    )
    planes = others[0]
    for axis in others[1:]:
        planes = planes[..., None] + axis
    return planes, row


@lru_cache(maxsize=16)
def is_reproduced(patch: tuple[int, ...]) -> bool:
    """Whether products with a matrix are rounded on this machine as they are here."""
    axes = [torch.linspace((1 - side) / 2, (side - 1) / 2, side) for side in patch]
    places = torch.stack(torch.meshgrid(axes, indexing="ij"), -1)
    matrix = torch.from_numpy(_TRIED[: len(patch), : len(patch)].T).float()
    theirs = torch.matmul(places, matrix)
    for axis in range(len(patch)):
        planes, row = _products(patch, matrix[:, axis])
        if not torch.equal(planes[..., None] + row, theirs[..., axis]):
            return False
    return True


@lru_cache(maxsize=1)
def is_transposed() -> bool | None:
    """Whether the installed batchgeneratorsv2 multiplies by the transposed matrix; ``None`` if it does neither."""
    before = np.random.get_state()
    try:
        answers = [_orientation((4, 5)), _orientation((4, 5, 3))]
    except Exception:
        # Whatever an unknown release raises, it makes its grids itself.
        return None
    finally:
        np.random.set_state(before)
    return answers[0] if answers[0] == answers[1] else None


def _orientation(patch: tuple[int, ...]) -> bool | None:
    source = tuple(side + 3 for side in patch)
    theirs = SpatialTransform(
        patch, 1, random_crop=True, p_rotation=1, rotation=(0.3, 0.6), p_scaling=1, scaling=(0.8, 0.9)
    )
    np.random.seed(0)
    drawn = theirs.get_parameters(image=torch.empty(1, *source))
    after = np.random.random()
    theirs.patch_size = (1,) * len(patch)
    np.random.seed(0)
    alone = theirs.get_parameters(image=torch.empty(1, *source))
    same = (drawn["affine"] == alone["affine"]).all() and drawn["center_location_in_pixels"] == alone[
        "center_location_in_pixels"
    ]
    if not same or np.random.random() != after:
        return None
    for transposed in (True, False):
        matrix = drawn["affine"].T if transposed else drawn["affine"]
        centre = drawn["center_location_in_pixels"]
        grid = affine_grid(patch, torch.from_numpy(matrix).float(), centre, source)
        if torch.equal(grid, drawn["grid"]):
            return transposed
    return None
