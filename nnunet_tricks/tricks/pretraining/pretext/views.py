"""Two views of one patch: random crops, mirrored, with other grey values and noise.

Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020, section 3: a random
crop and a change of colours together make the task hard enough. Colours of photographs become monotone curves of grey
values here. The scale of the image stays, since sizes of organs mean something.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.grey_values import changed_grey_values

CROP = 2 / 3
"""Share of a patch's side that a view has."""
CURVE = 0.8
"""Probability of other grey values, that of SimCLR's change of colours."""
NOISE = 0.1
"""Largest deviation of the noise, in units of the patch's own deviation."""


def view_sides(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Sides of a view: two thirds of the patch's, but two of the deepest features along an axis where that is less.

    Examples:
        >>> view_sides((30, 48), [[1, 1], [2, 2], [2, 2]])
        (20, 32)
        >>> view_sides((9, 48), [[1, 1], [2, 2], [2, 2]])
        (8, 32)
    """
    deepest = [prod(along) for along in zip(*strides, strict=True)]
    return tuple(min(n, max(round(n * CROP), 2 * stride)) for n, stride in zip(shape, deepest, strict=True))


def view_of(image: Tensor, sides: Sequence[int], chance: Chance, *, mirrored: Sequence[int]) -> Tensor:
    """A view of a patch.

    Args:
        image: (C, *spatial).
        sides: Sides of the view.
        chance: Source of place, mirroring, grey values and noise.
        mirrored: Axes along which it may be mirrored, 0 for the first spatial one.

    Returns:
        (C, *sides).
    """
    begins = [chance.whole(0, n - side) for n, side in zip(image.shape[1:], sides, strict=True)]
    place = (slice(None), *(slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True)))
    view = image[place]
    view = view.flip([axis + 1 for axis in mirrored if chance.yes(0.5)])
    if chance.yes(CURVE):
        view = changed_grey_values(view, chance, falling=0)
    strength = NOISE * float(chance.numbers(1)) * view.std()
    return torch.addcmul(view, strength, chance.normal(view.shape))


def two_views(
    images: Tensor, sides: Sequence[int], chance: Chance, *, mirrored: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Two views of each patch of a batch, and which views belong together.

    Args:
        images: (B, C, *spatial).
        sides: Sides of the views.
        chance: Source of all views.
        mirrored: As in ``view_of``.

    Returns:
        The first views of all patches, then the second ones: (2B, C, *sides); the partner of each: (2B, 1).
    """
    views = [view_of(image, sides, chance, mirrored=mirrored) for _ in range(2) for image in images]
    return torch.stack(views), partners(len(images), images.device)


def partners(patches: int, device: torch.device) -> Tensor:
    """The number of each view's partner.

    Examples:
        >>> partners(2, torch.device("cpu")).flatten()
        tensor([2, 3, 0, 1])
    """
    return torch.arange(2 * patches, device=device).roll(patches)[:, None]
