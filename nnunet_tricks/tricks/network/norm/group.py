"""Group norm: groups of channels of each image are normalised together, over their voxels.

Wu and He, ECCV 2018. It lies between layer norm (one group) and instance norm (as many groups as channels). Where the
number of groups does not divide a layer's channels, the layer has the greatest common divisor of both; the log says so.
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
        """Group norm with the groups that the name says."""
        return GroupNorm, {"groups": cls.parameters["GroupNorm"].groups, "eps": EPS, "affine": True}

    @classmethod
    def values(cls, *, batch: int, channels: int, voxels: int) -> int:
        """The values of one group in one patch."""
        return channels // gcd(channels, cls.parameters["GroupNorm"].groups) * voxels

    def norm_notes(self) -> Iterator[str]:
        """A line for each width of layers whose number of groups is another than the name says."""
        groups = self.parameters["GroupNorm"].groups
        layers = (module for module in self.network.modules() if isinstance(module, GroupNorm))
        for channels in dict.fromkeys(layer.num_channels for layer in layers):
            groups_here = gcd(channels, groups)
            instead = f", not {groups}" if groups_here != groups else ""
            like = ", which is instance norm" if groups_here == channels else ""
            if instead or like:
                yield f"layers of {channels} channels have {groups_here} groups{instead}{like}"
