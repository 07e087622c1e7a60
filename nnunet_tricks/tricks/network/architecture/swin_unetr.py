"""Swin UNETR: a transformer of windows as the encoder of a U-Net, for volumes.

Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images", BrainLes
2022, as MONAI has it, with 48 features. Its deepest stage has 1/32 of the resolution and normalises over voxels, so
patches are padded until it has two.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer


class nnUNetTrainerSwinUNETR(WholeNetworkTrainer):
    """nnU-Net with MONAI's Swin UNETR in place of its planned network."""

    architecture = "SwinUNETR"
    deepest = 2
    sizes: ClassVar[Sizes] = {"full": {"feature_size": 48}, "small": {"feature_size": 12, "depths": (1, 1, 1, 1)}}

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """MONAI's network."""
        from monai.networks.nets.swin_unetr import SwinUNETR

        return SwinUNETR(in_channels=interface.channels, out_channels=interface.classes, spatial_dims=3, **size)
