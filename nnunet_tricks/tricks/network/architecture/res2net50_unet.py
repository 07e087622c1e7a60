"""Res2Net-50 as the encoder of a U-Net: blocks that split their channels into groups, one after the other.

Gao et al., "Res2Net: a new multi-scale backbone architecture", TPAMI 2021. The version with four groups of 26 channels,
a stem of three convolutions and average pooling on shortcuts, which timm calls ``res2net50d``.
"""

from __future__ import annotations

from typing import ClassVar

from nnunet_tricks.tricks.network.architecture.backbone import BackboneTrainer
from nnunet_tricks.tricks.network.architecture.trainer import Sizes


class nnUNetTrainerRes2Net50UNet(BackboneTrainer):
    """nnU-Net whose encoder is a Res2Net-50."""

    architecture = "Res2Net50UNet"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder": "res2net50d"},
        "small": {"encoder": "res2net50d", "layers": (1, 1, 1, 1), "channels": (8, 8, 8, 8), "base_width": 26},
    }
