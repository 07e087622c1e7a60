"""Random channels: the control that separates selection from extra width.

The decoder gets as many more channels as with ``IFECurvature``. But these are drawn once, before the training, and are
the same for every image. Liu et al. have no such control.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.enhancement.selection import Score
from nnunet_tricks.tricks.network.enhancement.trainer import EnhancementTrainer


class RandomScore(nn.Module):
    """Scores that were drawn once.

    Examples:
        >>> score = RandomScore(channels=4, seed=0)
        >>> score(torch.zeros(2, 4, 8, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(self, channels: int, seed: int) -> None:
        """Draw a score for each channel.

        Args:
            channels: Number of channels.
            seed: Seed of the draw; the same seed draws the same scores.
        """
        super().__init__()
        drawn = torch.rand(channels, generator=torch.Generator().manual_seed(seed))
        # Not in checkpoints: the trainer's name says it all.
        self.register_buffer("drawn", drawn, persistent=False)

    def forward(self, features: Tensor, axes: Sequence[int] | None = None) -> Tensor:
        """(B, C), the same for every sample, whatever the features are."""
        return self.get_buffer("drawn").expand(len(features), -1)


class nnUNetTrainerIFERandom(EnhancementTrainer):
    """nnU-Net whose middle skip connections carry random channels a second time; each run draws its own once."""

    trick = "IFERandom"

    @classmethod
    def make_score(cls, channels: int, stage: int) -> Score:
        """Scores of the run, the same for all images."""
        return RandomScore(channels, seed=1000 * cls.trainer_name.run + stage)
