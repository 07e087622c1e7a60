"""Models Genesis: a patch is spoilt in several ways at once, and the network restores it.

Zhou et al., "Models Genesis", Medical Image Analysis 2021. In the order of the published code: local shuffling
(probability 0.5), non-linear grey values (0.9), then painting (0.9), which is out-painting with 0.8 and in-painting
else. Mean squared error over all voxels. The paper trains on grey values from 0 to 1 with a sigmoid. Here grey values
are those of nnU-Net's plans, and each patch and channel is brought to 0 to 1 for its curve and back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.grey_values import changed_grey_values
from nnunet_tricks.tricks.pretraining.pretext.painting import painted_over
from nnunet_tricks.tricks.pretraining.pretext.restoration import RestorationTrainer, all_count
from nnunet_tricks.tricks.pretraining.pretext.shuffling import shuffled_in_windows


def spoilt(image: Tensor, chance: Chance, *, shuffle: float, grey: float, paint: float, outside: float) -> Tensor:
    """A patch that is to be restored.

    Args:
        image: (C, *spatial).
        chance: Source of all that is random.
        shuffle: Probability of local shuffling.
        grey: Probability of other grey values.
        paint: Probability of painting.
        outside: Part of the paintings that leave windows and paint everything else.
    """
    if chance.yes(shuffle):
        image = shuffled_in_windows(image, chance)
    if chance.yes(grey):
        image = changed_grey_values(image, chance)
    if chance.yes(paint):
        image = painted_over(image, chance, outside=chance.yes(outside))
    return image


class nnUNetTrainerPretextGenesis(RestorationTrainer):
    """nnU-Net's network restores spoilt patches."""

    pretext_trick = "PretextGenesis"

    def pose(self, images: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Spoil each patch; the truth is the patch as it was, in all voxels."""
        settings = self.parameters["PretextGenesis"]
        given = [
            spoilt(
                image,
                chance,
                shuffle=settings.shuffle,
                grey=settings.grey,
                paint=settings.paint,
                outside=settings.outside,
            )
            for image in images
        ]
        return torch.stack(given), all_count(images)
