"""In-painting and out-painting: noise inside, or outside, of some large windows.

Zhou et al., "Models Genesis", Medical Image Analysis 2021, section 3.2: at most five windows that may overlap. Sizes
and places are those of the published code, along each axis by the patch's side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance

MOST = 5
"""Windows of a patch at most."""
ANOTHER = 0.95
"""Probability of one more window."""
MARGIN = 3
"""Voxels between a window and the border of the patch, where there is room."""

Window = tuple[slice, ...]


def painted(image: Tensor, windows: Sequence[Window], paint: Tensor | float, *, outside: bool) -> Tensor:
    """An image with other values inside of windows, or outside of all of them.

    Args:
        image: (C, *spatial).
        windows: Windows, each as a slice along each axis.
        paint: Values, of the image's shape or one for all.
        outside: Whether to paint outside of the windows.
    """
    inside = torch.zeros(image.shape[1:], dtype=torch.bool, device=image.device)
    for window in windows:
        inside[window] = True
    return torch.where(inside ^ outside, paint, image)


def painted_over(image: Tensor, chance: Chance, *, outside: bool) -> Tensor:
    """An image with uniform noise in the range of each channel, inside or outside of random windows.

    Args:
        image: (C, *spatial).
        chance: Source of windows and noise.
        outside: Whether to paint outside of the windows.
    """
    axes = tuple(range(1, image.ndim))
    low, high = image.amin(axes, keepdim=True), image.amax(axes, keepdim=True)
    noise = torch.addcmul(low, high - low, chance.uniform(image.shape))
    return painted(image, random_windows(image.shape[1:], chance, outside=outside), noise, outside=outside)


def random_windows(shape: Sequence[int], chance: Chance, *, outside: bool) -> list[Window]:
    """Windows with sides of a sixth to a third of the patch's, or of three to four sevenths to paint outside of them.

    Args:
        shape: Sides of the patch.
        chance: Source of sides and places.
        outside: Whether they are for painting outside, which needs one window at least.
    """
    windows: list[Window] = []
    while len(windows) < MOST and ((outside and not windows) or chance.yes(ANOTHER)):
        sides = [_side(length, chance, outside=outside) for length in shape]
        windows.append(tuple(_placed(side, length, chance) for side, length in zip(sides, shape, strict=True)))
    return windows


def _side(length: int, chance: Chance, *, outside: bool) -> int:
    if outside:
        return max(1, length - chance.whole(3 * length // 7, 4 * length // 7))
    return max(1, chance.whole(length // 6, max(length // 3, 1)))


def _placed(side: int, length: int, chance: Chance) -> slice:
    margin = min(MARGIN, (length - side) // 2)
    begin = chance.whole(margin, length - side - margin)
    return slice(begin, begin + side)
