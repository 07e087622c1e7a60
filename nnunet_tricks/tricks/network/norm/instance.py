"""Instance norm: each channel of each image is normalised over its voxels.

Ulyanov et al. 2016. It is nnU-Net's default, so alone it changes nothing. Beside a base it takes the place of the
base's batch norm, as the trick paper's published code does under the name IntNorm.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nnunet_tricks.tricks.network.norm.trainer import EPS, NormTrainer


class nnUNetTrainerInstanceNorm(NormTrainer):
    """nnU-Net with instance norm, whatever the plans or the base say."""

    norm_trick = "InstanceNorm"

    @classmethod
    def norm(cls, dimensions: int) -> tuple[type[nn.Module], dict[str, Any]]:
        """Torch's instance norm, as nnU-Net plans it."""
        return {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dimensions], {"eps": EPS, "affine": True}

    @classmethod
    def values(cls, *, batch: int, channels: int, voxels: int) -> int:
        """The values of one channel in one patch."""
        return voxels
