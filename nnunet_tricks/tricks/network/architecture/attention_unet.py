"""Attention U-Net: gates on the skip connections, from what the decoder has seen below, for volumes.

Oktay et al., "Attention U-Net: learning where to look for the pancreas", 2018, as MONAI has it, with the five first
widths of nnU-Net's stages.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer


class nnUNetTrainerAttentionUNet(WholeNetworkTrainer):
    """nnU-Net with MONAI's Attention U-Net in place of its planned network."""

    architecture = "AttentionUNet"
    sizes: ClassVar[Sizes] = {"full": {"channels": (32, 64, 128, 256, 320)}, "small": {"channels": (4, 4, 8, 8, 8)}}

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """MONAI's network."""
        from monai.networks.nets.attentionunet import AttentionUnet

        return AttentionUnet(
            spatial_dims=3, in_channels=interface.channels, out_channels=interface.classes, strides=(2, 2, 2, 2), **size
        )
