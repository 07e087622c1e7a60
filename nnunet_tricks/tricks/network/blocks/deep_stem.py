"""A deep stem: three convolutions of 3 x 3 begin a ResNet, in place of one of 7 x 7.

ResNet-C in He T. et al., "Bag of tricks for image classification with convolutional neural networks", CVPR 2019,
section 4.2, after Inception-v2. The trick paper (Zhang D. et al., figure 1) opens with it as an example of a trick. The
first of the three halves the size and has 32 channels, as the second; the third has 64. The receptive field is 11
pixels in place of 7. timm builds it (``stem_type="deep"``), as in its resnet50c; resnet50d also pools on shortcuts.

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
from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.architecture.backbone import BackboneTrainer
from nnunet_tricks.tricks.network.architecture.trainer import Interface

WIDTH = 32
"""Channels of the first two convolutions; the third has twice as many."""
PLAIN = (7, 7)
"""Kernel of the stem that it replaces."""


class nnUNetTrainerDeepStem(TrickTrainer):
    """nnU-Net with a ResNet as encoder that begins with three small convolutions."""

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
            ValueError: If its encoder is no ResNet of timm.
        """
        if not issubclass(cls, BackboneTrainer):
            raise ValueError(
                "DeepStem begins a ResNet of timm in another way, and no such network is in the name: put ResNet50UNet "
                "or a TimmUNet beside it, as in nnUNetTrainerDeepStem_ResNet50UNet"
            )
        return super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )

    @classmethod
    def make_network(cls, interface: Interface, **size: Any) -> nn.Module:
        """The encoder with a deep stem, under nnU-Net's decoder.

        Raises:
            ValueError: If the encoder has no stem of 7 x 7, or has a deep one already.
        """
        plain = without_values(lambda: super(nnUNetTrainerDeepStem, cls).make_network(interface, **size))  # type: ignore[misc]
        stem = getattr(plain.encoder.backbone, "conv1", None)
        deep = isinstance(stem, nn.Sequential)
        if not isinstance(stem, nn.Conv2d) or stem.kernel_size != PLAIN:
            encoder = size.get("encoder") or cls.parameters["TimmUNet"].encoder
            why = "has such a stem already" if deep else "has no convolution of 7 x 7 at its beginning"
            raise ValueError(
                f"DeepStem replaces the 7 x 7 convolution at the beginning of a ResNet of timm, and "
                f"{encoder} {why}: put ResNet50UNet, or a TimmUNet with a ResNet such as resnet18, beside it"
            )
        return super().make_network(interface, stem_type="deep", stem_width=WIDTH, **size)  # type: ignore[misc,no-any-return]

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
