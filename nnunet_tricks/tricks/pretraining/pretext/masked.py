"""Masked autoencoding: most blocks of a patch are hidden, and the network restores them.

He et al., "Masked autoencoders are scalable vision learners", CVPR 2022: a ratio of 0.75, and the loss on hidden voxels
only. Their transformer leaves hidden blocks out. A convolutional network cannot, so hidden voxels are 0 in its input,
the mean of normalised images. Blocks have 16 voxels along each axis, fewer where the network's deepest features
stand for fewer, as along thick slices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.pretext.blocks import block_sides, hidden_blocks
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.restoration import RestorationTrainer


class nnUNetTrainerPretextMasked(RestorationTrainer):
    """nnU-Net's network restores hidden blocks."""

    pretext_trick = "PretextMasked"

    def pose(self, images: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Hide blocks; only they count."""
        settings = self.parameters["PretextMasked"]
        hidden = hidden_blocks(
            len(images),
            images.shape[2:],
            block_sides(self.configuration_manager.pool_op_kernel_sizes, settings.block),
            ratio=settings.ratio,
            chance=chance,
        )
        return images.masked_fill(hidden, 0), torch.cat((images, hidden.to(images.dtype)), 1)
