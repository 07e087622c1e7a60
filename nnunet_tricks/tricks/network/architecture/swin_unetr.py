"""Swin UNETR: a transformer of windows as the encoder of a U-Net, for volumes.

Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images", BrainLes
2022, as MONAI has it, with 48 features. Its deepest stage has 1/32 of the resolution and normalises over voxels, so
patches are padded until it has two.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer


class nnUNetTrainerSwinUNETR(WholeNetworkTrainer):
    """nnU-Net with MONAI's Swin UNETR in place of its planned network."""

    architecture = "SwinUNETR"
    deepest = 2
    sizes: ClassVar[Sizes] = {
        "full": {"feature_size": 48},
        "small": {"feature_size": 12, "depths": (1, 1, 1, 1), "full_resolution": 4},
    }

    @classmethod
    def make_body(cls, interface: Interface, *, full_resolution: int = 0, **size: Any) -> nn.Module:
        """MONAI's network; with fewer channels at full resolution if their number is given."""
        from monai.networks.nets.swin_unetr import SwinUNETR

        # It reads numbers off tensors while it is built, which the meta device of a check before the training has not.
        with torch.device("cpu"):
            body = SwinUNETR(in_channels=interface.channels, out_channels=interface.classes, spatial_dims=3, **size)
        if full_resolution:
            _narrow(body, interface, full_resolution, size["feature_size"])
        return body


def _narrow(body: Any, interface: Interface, width: int, below: int) -> None:
    """Make the layers at full resolution narrow, where most of the time goes; MONAI has no argument for it."""
    from monai.networks.blocks.dynunet_block import UnetOutBlock
    from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrUpBlock

    body.encoder1 = UnetrBasicBlock(
        3, interface.channels, width, kernel_size=3, stride=1, norm_name="instance", res_block=True
    )
    body.decoder1 = UnetrUpBlock(
        3, below, width, kernel_size=3, upsample_kernel_size=2, norm_name="instance", res_block=True
    )
    body.out = UnetOutBlock(3, width, interface.classes)
