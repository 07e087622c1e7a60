"""UNETR: a vision transformer whose layers 3, 6, 9 and 12 are the stages of a U-Net, for volumes.

Hatamizadeh et al., "UNETR: transformers for 3D medical image segmentation", WACV 2022, as MONAI has it. Positions are
learned for the patch size of the plans, so a checkpoint fits plans with the same patch size only.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.fitting import padded_size
from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer

_UNUSED = "norm_cross_attn"
"""Layers of MONAI's blocks that only text models use. DDP stops at weights that should be trained and get no
gradient."""


class nnUNetTrainerUNETR(WholeNetworkTrainer):
    """nnU-Net with MONAI's UNETR in place of its planned network."""

    architecture = "UNETR"
    fixed_size = True
    sizes: ClassVar[Sizes] = {
        "full": {},
        "small": {"feature_size": 4, "hidden_size": 48, "mlp_dim": 96, "num_heads": 4},
    }

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """MONAI's network."""
        from monai.networks.nets.unetr import UNETR

        patch = padded_size(interface.patch_size, cls.architecture_info().multiple)
        body = UNETR(in_channels=interface.channels, out_channels=interface.classes, img_size=patch, **size)
        for name, weight in body.named_parameters():
            weight.requires_grad_(_UNUSED not in name)
        return body
