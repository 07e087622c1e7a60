"""V-Net: residual stages of 5 x 5 x 5 convolutions, for volumes.

Milletari et al., "V-Net: fully convolutional neural networks for volumetric medical image segmentation", 3DV 2016, as
MONAI has it, with its dropout of one half. Its first layer repeats the input until it has 16 channels, so it takes
1, 2, 4, 8 or 16 of them.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import UnsuitableImages
from nnunet_tricks.tricks.network.architecture.trainer import Interface
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer

WIDTH = 16
"""Channels of the first stage."""


class nnUNetTrainerVNet(WholeNetworkTrainer):
    """nnU-Net with MONAI's V-Net in place of its planned network."""

    architecture = "VNet"

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """MONAI's network."""
        from monai.networks.nets.vnet import VNet

        return VNet(spatial_dims=3, in_channels=interface.channels, out_channels=interface.classes, **size)

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse numbers of channels that 16 is no multiple of; a cascade has one more for each class."""
        channels, _ = planned.channels
        if WIDTH % channels:
            raise UnsuitableImages(
                f"VNet takes images of 1, 2, 4, 8 or 16 channels, and these have {channels}"
                + (", those of the first stage's classes included" if planned.configuration.previous_stage_name else "")
                + ": choose another network, such as SegResNet"
            )
        super().check_planned(planned)
