"""Images whose grey values are their labels, and patches to augment."""

from __future__ import annotations

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from torch import Tensor

from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.recipe import Recipe

FLAT = Patch((32, 24), (1, 1), by_slices=False, colour=True)
CUBE = Patch((20, 20, 20), (1, 1, 1), by_slices=False, colour=False)
SLICES = Patch((4, 24, 20), (5, 1, 1), by_slices=True, colour=False)
PATCHES = (FLAT, CUBE, SLICES)


def augmented(recipe: Recipe, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One draw."""
    done = applied(recipe.transforms, image, labels)
    return done["image"], done["segmentation"]


def applied(transforms: list[BasicTransform], image: Tensor, labels: Tensor) -> dict[str, Tensor]:
    done: dict[str, Tensor] = ComposeTransforms(transforms)(image=image.clone(), segmentation=labels.clone())
    return done


def blocks(size: tuple[int, ...], *, seed: int = 0, channels: int = 1) -> tuple[Tensor, Tensor]:
    """An image that is its label map: blocks of 0, 1 and 3, where 3 may be the ignore label."""
    coarse = np.random.default_rng(seed).choice([0, 1, 3], size=[-(-side // 5) for side in size])
    for axis in range(len(size)):
        coarse = coarse.repeat(5, axis)
    labels = torch.from_numpy(coarse[tuple(slice(side) for side in size)].astype(np.int16))[None]
    return labels.float().repeat(channels, *[1] * len(size)), labels


def places(size: tuple[int, ...]) -> Tensor:
    """An image that shows at each voxel where it is, from the middle: linear, so that interpolation keeps it."""
    axes = [torch.arange(side, dtype=torch.float32) - (side - 1) / 2 for side in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def middle(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """The middle of what was read."""
    corner = [read // 2 - side // 2 for read, side in zip(image.shape[1:], size, strict=True)]
    return image[(slice(None), *(slice(low, low + side) for low, side in zip(corner, size, strict=True)))]


def seeds(count: int) -> range:
    seed_everything(0)
    return range(count)
