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

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance

WINDOWS = 1000
"""Windows of a patch at most."""
PART = 10
"""Part of a patch's side that a window's side has at most: a tenth."""


def window_sides(shape: Sequence[int], chance: Chance) -> tuple[int, ...]:
    """Random sides of the windows, at most a tenth of the patch's, and more than one voxel in all."""
    most = [max(1, side // PART) for side in shape]
    longest = max(range(len(shape)), key=shape.__getitem__)
    most[longest] = max(most[longest], min(2, shape[longest]))
    sides = tuple(chance.whole(1, side) for side in most)
    return sides if prod(sides) > 1 else tuple(most)


def windows_of(shape: Sequence[int], sides: Sequence[int], begins: Sequence[int]) -> Tensor:
    """Places of the voxels in each window of a grid.

    Args:
        shape: Sides of the image.
        sides: Sides of a window.
        begins: First voxel of the grid along each axis.

    Returns:
        (windows, voxels of a window): indices into the flat image.

    Examples:
        >>> windows_of((2, 5), (2, 2), (0, 1))
        tensor([[1, 2, 6, 7],
                [3, 4, 8, 9]])
    """
    corner = torch.zeros(1, dtype=torch.long)
    inside = torch.zeros(1, dtype=torch.long)
    for length, side, begin in zip(shape, sides, begins, strict=True):
        starts = begin + side * torch.arange((length - begin) // side)
        corner = (corner[:, None] * length + starts).flatten()
        inside = (inside[:, None] * length + torch.arange(side)).flatten()
    return corner[:, None] + inside


def shuffled(image: Tensor, places: Tensor, chance: Chance) -> Tensor:
    """An image whose voxels have changed places within windows; its channels together.

    Args:
        image: (C, *spatial).
        places: Places of the voxels in each window, as ``windows_of`` has them.
        chance: Source of the new order.
    """
    order = chance.uniform(places.shape).argsort(1)
    flat = image.flatten(1).clone()
    flat[:, places.flatten()] = flat[:, places.gather(1, order).flatten()]
    return flat.view_as(image)


def shuffled_in_windows(image: Tensor, chance: Chance, *, windows: int = WINDOWS) -> Tensor:
    """An image whose voxels have changed places within random windows.

    Args:
        image: (C, *spatial).
        chance: Source of windows and order.
        windows: Number of windows at most; fewer if the image has not as many.
    """
    shape = image.shape[1:]
    sides = window_sides(shape, chance)
    begins = [chance.whole(0, length % side) for length, side in zip(shape, sides, strict=True)]
    counts = [(length - begin) // side for length, side, begin in zip(shape, sides, begins, strict=True)]
    places = windows_of(shape, sides, begins).to(image.device)
    chosen = chance.order(prod(counts))[:windows]
    return shuffled(image, places[chosen], chance)
