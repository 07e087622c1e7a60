"""Blocks of a patch that are hidden, in random places."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance


def block_sides(strides: Sequence[Sequence[int]], most: int) -> tuple[int, ...]:
    """Sides of a block: what the network's deepest features stand for, and at most ``most`` voxels.

    Along thick slices the plans' strides are fewer, and so the block is as flat as the voxels are thick.

    Args:
        strides: Stride of each stage along each axis, as plans have them.
        most: Longest side in voxels.

    Examples:
        >>> block_sides([[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2]], 16)
        (4, 16, 16)
    """
    return tuple(max(1, min(most, prod(along))) for along in zip(*strides, strict=True))


def hidden_count(blocks: int, ratio: float) -> int:
    """Number of hidden blocks: one at least, and one at least stays visible where there are several."""
    return min(max(1, round(ratio * blocks)), max(1, blocks - 1))


def hidden_blocks(batch: int, shape: Sequence[int], sides: Sequence[int], *, ratio: float, chance: Chance) -> Tensor:
    """Masks in which the same share of blocks is hidden in each patch, wherever they lie.

    Args:
        batch: Number of patches.
        shape: Sides of a patch.
        sides: Sides of a block; those at the far end may be cut off.
        ratio: Share of hidden blocks.
        chance: Source of the places.

    Returns:
        (B, 1, *spatial), true where hidden.

    Examples:
        >>> mask = hidden_blocks(2, (8, 6), (4, 2), ratio=0.5, chance=Chance(0, torch.device("cpu")))
        >>> mask.shape, mask.flatten(1).sum(1)
        (torch.Size([2, 1, 8, 6]), tensor([24, 24]))
    """
    grid = [ceil(length / side) for length, side in zip(shape, sides, strict=True)]
    count = prod(grid)
    drawn = chance.uniform((batch, count)).argsort(1)[:, : hidden_count(count, ratio)]
    mask = torch.zeros((batch, count), dtype=torch.bool, device=drawn.device).scatter_(1, drawn, value=True)
    mask = mask.view(batch, 1, *grid)
    for axis, (length, side) in enumerate(zip(shape, sides, strict=True), 2):
        mask = mask.repeat_interleave(side, axis).narrow(axis, 0, length)
    return mask
