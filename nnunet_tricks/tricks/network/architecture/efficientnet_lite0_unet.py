"""EfficientNet-Lite0 as the encoder of a U-Net: a network for telephones, a twentieth of ResNet-50's work.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019. The Lite version of
Google's TPU models has no squeeze-and-excitation and ReLU6. timm calls it ``tf_efficientnet_lite0``.
"""

from __future__ import annotations

from typing import ClassVar

from nnunet_tricks.tricks.network.architecture.backbone import BackboneTrainer
from nnunet_tricks.tricks.network.architecture.trainer import Sizes


class nnUNetTrainerEfficientNetLite0UNet(BackboneTrainer):
    """nnU-Net whose encoder is an EfficientNet-Lite0."""

    architecture = "EfficientNetLite0UNet"
    sizes: ClassVar[Sizes] = {"full": {"encoder": "tf_efficientnet_lite0"}, "small": {"encoder": "test_efficientnet"}}
