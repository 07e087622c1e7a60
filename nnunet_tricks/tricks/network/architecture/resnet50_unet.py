"""ResNet-50 as the encoder of a U-Net: the network of the trick paper's baseline in 2D.

He et al., "Deep residual learning for image recognition", CVPR 2016, as timm has it: with random weights, the same
network as torchvision's. The published code of Zhang D. et al. has a decoder of its own; here it is nnU-Net's.
"""

from __future__ import annotations

from typing import ClassVar

from nnunet_tricks.tricks.network.architecture.backbone import BackboneTrainer
from nnunet_tricks.tricks.network.architecture.trainer import Sizes


class nnUNetTrainerResNet50UNet(BackboneTrainer):
    """nnU-Net whose encoder is a ResNet-50."""

    architecture = "ResNet50UNet"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder": "resnet50"},
        "small": {"encoder": "resnet50", "layers": (1, 1, 1, 1), "channels": (8, 8, 8, 8)},
    }
