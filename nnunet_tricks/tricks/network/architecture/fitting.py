"""Images of any size for networks that take multiples of a number: padded inside the network, and cropped afterwards.

Zeros are added at the far end of each axis. nnU-Net pads small images with zeros too, after it has normalised them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor


def padded_size(size: Sequence[int], multiple: int, *, deepest: int = 1) -> tuple[int, ...]:
    """The smallest size that a network takes and an image fits into.

    Args:
        size: Voxels of the image along each axis.
        multiple: Number that each side becomes a multiple of.
        deepest: Fewest voxels of the network's deepest stage. The longest side grows until it has as many.

    Examples:
        >>> padded_size((20, 28, 44), 8), padded_size((6, 24, 24), 32), padded_size((6, 24, 24), 32, deepest=2)
        ((24, 32, 48), (32, 32, 32), (32, 32, 64))
    """
    stages = [ceil(side / multiple) for side in size]
    longest = max(range(len(size)), key=lambda axis: (stages[axis], axis))
    others = prod(stages) // stages[longest]
    stages[longest] = max(stages[longest], ceil(deepest / others))
    return tuple(multiple * stage for stage in stages)


def padded(image: Tensor, size: Sequence[int]) -> Tensor:
    """An image (B, C, *spatial) with zeros at the far end of each axis, up to a size; itself where it has that size.

    Examples:
        >>> import torch
        >>> padded(torch.ones(1, 1, 2, 3), (2, 4))
        tensor([[[[1., 1., 1., 0.],
                  [1., 1., 1., 0.]]]])
    """
    missing = [whole - side for whole, side in zip(size, image.shape[2:], strict=True)]
    if not any(missing):
        return image
    return F.pad(image, [pad for side in reversed(missing) for pad in (0, side)])


def cropped(output: Tensor, size: Sequence[int], stride: int = 1) -> Tensor:
    """The part of a network's output that belongs to the image before it was padded.

    Args:
        output: (B, C, *spatial), every ``stride``-th voxel of the padded image.
        size: Voxels of the image along each axis.
        stride: Distance of neighbouring voxels of the output, in voxels of the image.

    Examples:
        >>> import torch
        >>> cropped(torch.zeros(1, 2, 32, 32), (52, 64), stride=2).shape
        torch.Size([1, 2, 26, 32])
    """
    kept = [ceil(side / stride) for side in size]
    if list(output.shape[2:]) == kept:
        return output
    for axis, side in enumerate(kept, start=2):
        output = output.narrow(axis, 0, side)
    return output
