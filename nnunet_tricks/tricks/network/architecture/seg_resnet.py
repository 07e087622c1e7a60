"""SegResNet: a residual encoder of four stages under a small decoder, for volumes.

Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization", BrainLes 2018, without its branch that
rebuilds the image. As MONAI has it: 32 filters, residual blocks 1, 2, 2, 4 in the encoder and one in each stage of the
decoder, group norm.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer


class nnUNetTrainerSegResNet(WholeNetworkTrainer):
    """nnU-Net with MONAI's SegResNet in place of its planned network."""

    architecture = "SegResNet"
    sizes: ClassVar[Sizes] = {
        "full": {"init_filters": 32, "blocks_down": (1, 2, 2, 4)},
        "small": {"init_filters": 8, "blocks_down": (1, 1, 1, 1)},
    }

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """MONAI's network."""
        from monai.networks.nets.segresnet import SegResNet

        return SegResNet(
            spatial_dims=3, in_channels=interface.channels, out_channels=interface.classes, blocks_up=(1, 1, 1), **size
        )
