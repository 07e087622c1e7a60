"""Edges of a truth: voxels on both sides of a border between two classes, or of a region."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor


def edges(truth: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Voxels that have another value in the window of 3 voxels around them, corners included.

    Computed where the truth is, also on a GPU. Along axes that are left out, slices are images of their own.

    Args:
        truth: (B, C, *spatial), 2D or 3D: labels, or flags of regions.
        axes: Spatial axes along which edges are looked for; all if not given.

    Returns:
        (B, *spatial) flags: an edge of any channel.

    Examples:
        >>> import torch
        >>> edges(torch.tensor([[[[0, 0, 0, 2, 2, 2]]]])).int()
        tensor([[[0, 0, 1, 1, 0, 0]]], dtype=torch.int32)
    """
    values = truth.float()
    return (_largest(values, axes) != -_largest(-values, axes)).any(1)


def near(flags: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Voxels that are flagged, or whose window of 3 voxels holds one that is.

    Args:
        flags: (B, *spatial).
        axes: As for ``edges``.
    """
    return _largest(flags.unsqueeze(1).float(), axes)[:, 0] > 0


def _largest(values: Tensor, axes: Sequence[int] | None) -> Tensor:
    dimensions = values.ndim - 2
    chosen = range(dimensions) if axes is None else axes
    window = tuple(3 if axis in chosen else 1 for axis in range(dimensions))
    pool = F.max_pool2d if dimensions == 2 else F.max_pool3d
    return pool(values, window, stride=1, padding=tuple(side // 2 for side in window))
