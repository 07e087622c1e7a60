"""Norm layers for nnU-Net's planned networks: their first argument is the number of channels."""

from __future__ import annotations

from math import gcd

from torch import nn


class GroupNorm(nn.GroupNorm):
    """Group norm whose number of groups fits any number of channels.

    Examples:
        >>> GroupNorm(320, groups=32).num_groups, GroupNorm(80, groups=32).num_groups
        (32, 16)
    """

    def __init__(self, channels: int, *, groups: int, eps: float = 1e-5, affine: bool = True) -> None:
        """Make the layer.

        Args:
            channels: Number of channels of the features.
            groups: Number of groups; where it does not divide ``channels``, the greatest common divisor of both.
            eps: Added to the variance.
            affine: Whether each channel has a scale and an offset that are learned.
        """
        super().__init__(gcd(channels, groups), channels, eps=eps, affine=affine)


class LayerNorm(nn.GroupNorm):
    """Layer norm: over all channels and voxels of an image.

    Examples:
        >>> LayerNorm(320).num_groups
        1
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        """Make the layer; see ``GroupNorm``."""
        super().__init__(1, channels, eps=eps, affine=affine)
