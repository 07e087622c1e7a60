"""Layer norm: all channels of each image are normalised together, over their voxels.

Ba et al. 2016, for images as Wu and He (ECCV 2018) define it: group norm with one group. Transformers have another
layer norm, voxel by voxel.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nnunet_tricks.tricks.network.norm.layers import LayerNorm
from nnunet_tricks.tricks.network.norm.trainer import EPS, NormTrainer


class nnUNetTrainerLayerNorm(NormTrainer):
    """nnU-Net with layer norm in place of instance norm."""

    norm_trick = "LayerNorm"

    @classmethod
    def norm(cls, dimensions: int) -> tuple[type[nn.Module], dict[str, Any]]:
        """One group of all channels."""
        return LayerNorm, {"eps": EPS, "affine": True}

    @classmethod
    def values(cls, *, batch: int, channels: int, voxels: int) -> int:
        """All values of one patch."""
        return channels * voxels
