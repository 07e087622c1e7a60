"""Group norm: groups of channels of each image are normalised together, over their voxels.

Wu and He, ECCV 2018. Between layer norm, one group, and instance norm, as many groups as channels. Where the number of
groups does not divide a layer's channels, it has the greatest common divisor of both; the log says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Any

from torch import nn

from nnunet_tricks.tricks.network.norm.layers import GroupNorm
from nnunet_tricks.tricks.network.norm.trainer import EPS, NormTrainer


class nnUNetTrainerGroupNorm(NormTrainer):
    """nnU-Net with group norm in place of instance norm."""

    norm_trick = "GroupNorm"

    @classmethod
    def norm(cls, dimensions: int) -> tuple[type[nn.Module], dict[str, Any]]:
        """Groups of channels."""
        return GroupNorm, {"groups": cls.parameters["GroupNorm"].groups, "eps": EPS, "affine": True}

    @classmethod
    def values(cls, *, batch: int, channels: int, voxels: int) -> int:
        """Of one group in one patch."""
        return channels // gcd(channels, cls.parameters["GroupNorm"].groups) * voxels

    def norm_notes(self) -> Iterator[str]:
        """Layers with another number of groups than asked for."""
        groups = self.parameters["GroupNorm"].groups
        for channels in dict.fromkeys(self.configuration_manager.network_arch_init_kwargs["features_per_stage"]):
            made = gcd(channels, groups)
            instead = f", not {groups}" if made != groups else ""
            like = ", which is instance norm" if made == channels else ""
            if instead or like:
                yield f"layers of {channels} channels have {made} groups{instead}{like}"
