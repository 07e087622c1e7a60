"""U-Net++: skip connections that are small U-Nets themselves.

Zhou et al., "UNet++: a nested U-Net architecture for medical image segmentation", DLMIA 2018. As
segmentation-models-pytorch has it: over a ResNet-50, with one output and without the paper's pruning.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer


class nnUNetTrainerUNetPlusPlus(WholeNetworkTrainer):
    """nnU-Net with U-Net++ in place of its planned network."""

    architecture = "UNetPlusPlus"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder_name": "resnet50"},
        "small": {"encoder_name": "resnet18", "decoder_channels": (16, 8, 8, 8, 8)},
    }

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """The library's network."""
        from segmentation_models_pytorch import UnetPlusPlus

        return UnetPlusPlus(encoder_weights=None, in_channels=interface.channels, classes=interface.classes, **size)
