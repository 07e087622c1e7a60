"""A deep stem: three convolutions of 3 x 3 begin a ResNet, in place of one of 7 x 7.

ResNet-C in He T. et al., "Bag of tricks for image classification with convolutional neural networks", CVPR 2019,
section 4.2, after Inception-v2. The trick paper (Zhang D. et al., figure 1) opens with it as an example of a trick. The
first of the three halves the size and has 32 channels, as the second; the third has 64. The receptive field is 11
pixels in place of 7. It is the stem of timm's resnet50c, bit for bit; resnet50d also pools on shortcuts.

Weights that were trained with a stem of 7 x 7 have none for this one, and nothing else makes sense of their features.
So weights cannot stand beside it. timm's resnet50c, resnet50d and others have such a stem and weights of their own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.network.architecture.backbone import BackboneTrainer
from nnunet_tricks.tricks.network.blocks.cost import log_cost

WIDTH = 32
"""Channels of the first two convolutions; the third has twice as many."""
PLAIN = (7, 7)
"""Kernel of the convolution that it replaces."""


def deep_stem(plain: nn.Conv2d, norm: type[nn.Module]) -> nn.Sequential:
    """Three convolutions in place of one, with norm layers and ReLU in between.

    Args:
        plain: Convolution with stride 2 that the network begins with.
        norm: Norm layer, whose first argument is the number of channels.

    Returns:
        Layers for the same input with the same size and channels of output, named and drawn as in timm.

    Examples:
        >>> import torch
        >>> stem = deep_stem(nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d)
        >>> stem(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 64, 16, 16])
    """
    stem = nn.Sequential(
        nn.Conv2d(plain.in_channels, WIDTH, 3, stride=2, padding=1, bias=False),
        norm(WIDTH),
        nn.ReLU(inplace=True),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
        norm(WIDTH),
        nn.ReLU(inplace=True),
        nn.Conv2d(WIDTH, plain.out_channels, 3, padding=1, bias=False),
    )
    for layer in stem:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return stem


class nnUNetTrainerDeepStem(TrickTrainer):
    """nnU-Net with a ResNet as encoder that begins with three small convolutions."""

    # Prediction calls this on the class, so the settings can only come from its name.
    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network of the name with a deep stem.

        Raises:
            ValueError: If its encoder is no ResNet of timm with a plain stem.
        """
        if not issubclass(cls, BackboneTrainer):
            raise ValueError(
                "DeepStem begins a ResNet of timm in another way, and no such network is in the name: put ResNet50UNet "
                "or a TimmUNet beside it, as in nnUNetTrainerDeepStem_ResNet50UNet"
            )
        network: Any = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        backbone = network.encoder.backbone
        plain = getattr(backbone, "conv1", None)
        if not isinstance(plain, nn.Conv2d) or plain.kernel_size != PLAIN:
            deep = isinstance(plain, nn.Sequential)
            why = "has such a stem already" if deep else "has no convolution of 7 x 7 at its beginning"
            raise ValueError(
                f"DeepStem replaces the 7 x 7 convolution at the beginning of a ResNet of timm, and the encoder of "
                f"{cls.__name__} {why}: put ResNet50UNet, or a TimmUNet with a ResNet such as resnet18, beside it"
            )
        backbone.conv1 = deep_stem(plain, type(backbone.bn1))
        built: nn.Module = network
        return built

    def initialize(self) -> None:
        """Build everything, and write into the log what the stem costs."""
        super().initialize()
        log_cost(self, nnUNetTrainerDeepStem, "DeepStem")

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse encoders without such a stem, and weights beside it, which are none of this stem."""
        with suppress(
            AssertionError, AttributeError, TypeError
        ):  # what is no encoder at all is refused with its reason
            cls.planned_network(planned)
        if getattr(cls, "has_own_weights", False):
            raise ValueError(
                "DeepStem has other first convolutions than the network that the weights in the name are of, so they "
                "do not fit: leave DeepStem out, or take an encoder that was trained with such a stem, as in "
                "nnUNetTrainerTimmUNet_resnet50d_Pretrained"
            )
        super().check_planned(planned)
