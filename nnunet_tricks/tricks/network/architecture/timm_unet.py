"""Any encoder of timm as that of a U-Net, by its name there.

Wightman, "PyTorch image models". Its convolutional encoders have features of several resolutions; plain vision
transformers do not, and some encoders take images of one size only. Both are refused with the reason.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from nnunet_tricks.catalogue.naming import PREFIX
from nnunet_tricks.training.network_sizes import is_small
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.architecture.backbone import BackboneTrainer
from nnunet_tricks.tricks.network.architecture.trainer import Interface

NAMED = {
    "resnet50": "ResNet50UNet",
    "res2net50d": "Res2Net50UNet",
    "tf_efficientnet_lite0": "EfficientNetLite0UNet",
}
"""Encoders with a trick of their own: a setting has one name."""

_SMALL = "test_resnet"
"""In place of the default, where networks are built small."""


class nnUNetTrainerTimmUNet(BackboneTrainer):
    """nnU-Net whose encoder is one of timm's."""

    architecture = "TimmUNet"

    @classmethod
    def encoder(cls) -> str:
        """Timm's name of the encoder."""
        (default,) = (parameter.default for parameter in cls.architecture_info().parameters)
        chosen: str = cls.parameters["TimmUNet"].encoder
        return _SMALL if is_small() and chosen == default else chosen

    @classmethod
    def make_network(cls, interface: Interface, **size: Any) -> nn.Module:
        """The encoder of the name with nnU-Net's decoder."""
        return super().make_network(interface, encoder=cls.encoder(), **size)

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse encoders that timm does not have, that are no U-Net's, or that do not take the patches.

        Raises:
            ValueError: With the reason, and the names that are near.
        """
        import timm

        name = cls.encoder()
        if name in NAMED:
            raise ValueError(f"TimmUNet_{name} has a name of its own: {PREFIX}{NAMED[name]}")
        known = timm.list_models()
        if name not in known:
            near = ", ".join(get_close_matches(name, known, n=3)) or "see timm.list_models()"
            raise ValueError(f"timm {timm.__version__} has no encoder '{name}'; nearest: {near}")
        channels, classes = planned.channels
        patch = tuple(planned.configuration.patch_size)
        interface = Interface(patch, channels, classes, False, planned.configuration.network_arch_init_kwargs)
        try:
            without_values(lambda: cls.make_network(interface).eval()(torch.zeros(1, channels, *patch)))
        except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            size = "x".join(map(str, patch))
            raise ValueError(
                f"'{name}' of timm is no encoder for a U-Net with patches of {size}: {reason}. Choose one with "
                "features of several resolutions, such as resnet18 or convnext_tiny"
            ) from error
        super().check_planned(planned)
