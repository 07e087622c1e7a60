"""Local shuffling: voxels change places within small windows.

Zhou et al., "Models Genesis", Medical Image Analysis 2021, section 3.2. The published code loops over windows that
overlap, so that some voxels are lost and others doubled. Here the windows of a patch are cells of one grid with random
sides and a random place. So the result is a permutation of the image, in each window, and all windows are shuffled at
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance

WINDOWS = 1000
"""Windows of a patch at most."""
ORDERS = 32
"""Random orders of a patch's windows. Each serves several windows, since drawing them is what takes time."""
PART = 10
"""Part of a patch's side that a window's side has at most: a tenth."""


def window_sides(shape: Sequence[int], chance: Chance) -> tuple[int, ...]:
    """Random sides of the windows, at most a tenth of the patch's, and more than one voxel in all."""
    most = [max(1, side // PART) for side in shape]
    longest = max(range(len(shape)), key=shape.__getitem__)
    most[longest] = max(most[longest], min(2, shape[longest]))
    sides = tuple(chance.whole(1, side) for side in most)
    return sides if prod(sides) > 1 else tuple(most)


def grid_of(shape: Sequence[int], sides: Sequence[int], begins: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The windows of a grid, as places in the flat image.

    Args:
        shape: Sides of the image.
        sides: Sides of a window.
        begins: First voxel of the grid along each axis.

    Returns:
        Place of the first voxel of each window, and places of a window's voxels from there. Their sums are all places.

    Examples:
        >>> grid_of((2, 5), (2, 2), (0, 1))
        (tensor([1, 3]), tensor([0, 1, 5, 6]))
    """
    corners = torch.zeros(1, dtype=torch.long)
    inside = torch.zeros(1, dtype=torch.long)
    for length, side, begin in zip(shape, sides, begins, strict=True):
        starts = begin + side * torch.arange((length - begin) // side)
        corners = (corners[:, None] * length + starts).flatten()
        inside = (inside[:, None] * length + torch.arange(side)).flatten()
    return corners, inside


def shuffled(image: Tensor, corners: Tensor, inside: Tensor, chance: Chance) -> Tensor:
    """An image whose voxels have changed places within windows; its channels together.

    Args:
        image: (C, *spatial).
        corners: Place of the first voxel of each window in the flat image.
        inside: Places of a window's voxels from there.
        chance: Source of the new orders.
    """
    orders = chance.uniform((min(ORDERS, len(corners)), len(inside))).argsort(1)
    # Which window gets which order is as random as the windows themselves, whose order was drawn. So they take turns.
    turns = functional.pad(corners, (0, -len(corners) % len(orders))).view(-1, len(orders), 1)
    moved = (turns + inside[orders]).flatten()[: len(corners) * len(inside)]
    places = (corners[:, None] + inside).flatten()
    flat = image.flatten(1)
    # All places differ, and so gather and scatter, which are faster than selecting by an index, have one result.
    values = flat.gather(1, moved.expand(len(flat), -1))
    return flat.scatter(1, places.expand(len(flat), -1), values).view_as(image)


def shuffled_in_windows(image: Tensor, chance: Chance, *, windows: int = WINDOWS) -> Tensor:
    """An image whose voxels have changed places within random windows.

    Args:
        image: (C, *spatial).
        chance: Source of windows and orders.
        windows: Number of windows at most; fewer if the image has not as many.
    """
    shape = image.shape[1:]
    sides = window_sides(shape, chance)
    begins = [chance.whole(0, length % side) for length, side in zip(shape, sides, strict=True)]
    corners, inside = (places.to(image.device) for places in grid_of(shape, sides, begins))
    return shuffled(image, corners[chance.order(len(corners))[:windows]], inside, chance)
