"""Random erasing: a box of the image, of all channels, is replaced by random values; the truth stays.

The box has 2 to 40 % of the patch's voxels. Its sides are in proportion to the patch's, but for factors of up to 3.3
between them. As in the paper, factors are drawn anew if the box would exceed the patch. Values are uniform in the range
that the channel has in the patch; these did best in the paper. Erasing comes after other augmentation. Zhong et al.,
"Random erasing data augmentation", AAAI 2020, algorithm 1, for any number of dimensions.
"""

from __future__ import annotations

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from torch import Tensor

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import MakeTransforms, TrickTrainer
from nnunet_tricks.tricks.augmentation.recipe import AfterAugmentation

ASPECT = 3.3
"""Largest ratio between sides, as in the paper."""

TRIES = 100
"""Draws of sides at most; a box with most of a patch hardly ever fits with other proportions than the patch's."""


class EraseBox(ImageOnlyTransform):
    """Replaces a box by random values."""

    def __init__(self, part: tuple[float, float]) -> None:
        """Set up the transform.

        Args:
            part: Smallest and largest part of the voxels that are erased.
        """
        super().__init__()
        self.part = part

    def get_parameters(self, image: Tensor, **_: object) -> dict[str, tuple[slice, ...]]:
        """Draw size and place of the box."""
        size = np.array(image.shape[1:])
        exponents = np.random.uniform(-0.5, 0.5, (TRIES, len(size)))
        # Their mean is taken off, so that the box has the part of the voxels that was drawn.
        exponents -= exponents.mean(1, keepdims=True)
        exponents[-1] = 0  # the patch's proportions, with which a box always fits
        relative = np.random.uniform(*self.part) ** (1 / len(size)) * ASPECT**exponents
        first = relative[(relative <= 1).all(1)][0]
        sides = np.maximum(np.round(first * size), 1).astype(int)
        corner = np.random.randint(0, size - sides + 1)
        return {"box": tuple(slice(low, low + side) for low, side in zip(corner, sides, strict=True))}

    def _apply_to_image(self, image: Tensor, *, box: tuple[slice, ...]) -> Tensor:
        for channel in image:
            low, high = torch.aminmax(channel)
            channel[box] = torch.rand(channel[box].shape) * (high - low) + low
        return image


class nnUNetTrainerRandomErasing(TrickTrainer):
    """nnU-Net that erases a box in some patches, after its own augmentation or that of other tricks."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse a smallest part that is larger than the largest."""
        super().check_planned(planned)
        settings = cls.parameters["RandomErasing"]
        if settings.low > settings.high:
            raise ValueError(
                f"low of RandomErasing must be at most high, which is {settings.high:g}, got {settings.low:g}"
            )

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """Transforms that erase after all other augmentation."""
        settings = self.parameters["RandomErasing"]
        erase = RandomTransform(EraseBox((settings.low, settings.high)), settings.p)
        return AfterAugmentation(super().training_transforms(make), erase)
