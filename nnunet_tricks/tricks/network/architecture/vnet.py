"""V-Net: residual stages of 5 x 5 x 5 convolutions, for volumes.

Milletari et al., "V-Net: fully convolutional neural networks for volumetric medical image segmentation", 3DV 2016, as
MONAI has it, with its dropout of one half. Its first layer repeats the input until it has 16 channels, so it takes
1, 2, 4, 8 or 16 of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import UnsuitableImages
from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer

WIDTH = 16
"""Channels of the first stage."""

ACTIVATION = ("elu", {"inplace": True})
DROPOUT = 0.5
"""MONAI's defaults."""


class nnUNetTrainerVNet(WholeNetworkTrainer):
    """nnU-Net with MONAI's V-Net in place of its planned network."""

    architecture = "VNet"
    sizes: ClassVar[Sizes] = {"full": {}, "small": {"width": 4}}

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """MONAI's network."""
        return _narrow(interface, **size) if size else _whole(interface)

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


def _whole(interface: Interface) -> nn.Module:
    from monai.networks.nets.vnet import VNet

    return VNet(spatial_dims=3, in_channels=interface.channels, out_channels=interface.classes)


def _narrow(interface: Interface, width: int) -> nn.Module:
    """MONAI's network of the same stages with fewer channels, for which it has no argument."""
    from monai.networks.nets import vnet

    with torch.device("meta"):
        body: Any = _whole(interface)
    both: tuple[float | None, float] = (DROPOUT, DROPOUT)
    only_skip: tuple[float | None, float] = (None, DROPOUT)
    body.in_tr = vnet.InputTransition(3, interface.channels, width, ACTIVATION)
    for factor, convolutions, dropout in ((1, 1, None), (2, 2, None), (4, 3, DROPOUT), (8, 2, DROPOUT)):
        stage = vnet.DownTransition(3, factor * width, convolutions, ACTIVATION, dropout_prob=dropout)
        setattr(body, f"down_tr{2 * factor * WIDTH}", stage)
    for incoming, factor, convolutions, dropouts in (
        (16, 16, 2, both),
        (16, 8, 2, both),
        (8, 4, 1, only_skip),
        (4, 2, 1, only_skip),
    ):
        up = vnet.UpTransition(3, incoming * width, factor * width, convolutions, ACTIVATION, dropout_prob=dropouts)
        setattr(body, f"up_tr{factor * WIDTH}", up)
    body.out_tr = vnet.OutputTransition(3, 2 * width, interface.classes, ACTIVATION)
    return body
