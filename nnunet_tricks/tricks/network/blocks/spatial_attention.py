r"""Spatial attention: each voxel is weighted by what its neighbourhood shows.

Woo et al., "CBAM: convolutional block attention module", ECCV 2018, eq. 3: $M(x) = \sigma(f([mean_c(x); max_c(x)]))$
and $y = M(x) x$. $f$ is a convolution of the two maps with a kernel of 7 along each axis. It is 1 along axes where the
planned kernel is 1, as voxels are far apart there. With sigmoids of 1 it is the planned network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, its standard name

from nnunet_tricks.tricks.network.blocks.attention_trainer import AttentionTrainer, StageAttention
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers


class SpatialAttention(StageAttention):
    """A weight from 0 to 1 for each voxel, the same for all channels."""

    view_name = "voxel weights"

    def __init__(self, kernel: tuple[int, ...], layers: PlannedLayers, *, size: int) -> None:
        """Make the convolution.

        Args:
            kernel: Size of the planned kernel along each axis.
            layers: Kinds of layers.
            size: Size of the kernel along axes where the planned one is not 1, odd.

        Raises:
            ValueError: If the size is even: features and weights would lie half a voxel apart.
        """
        super().__init__()
        if size % 2 == 0:
            raise ValueError(f"size must be an odd number, so that the kernel has a middle, got {size}")
        self.look: Any = layers.convolution(2, 1, [1 if side == 1 else size for side in kernel], bias=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, *spatial) -> the same shape."""
        return features * self._weights(features)

    def view(self, features: Tensor) -> Tensor:
        """The weights (B, *spatial) of the voxels."""
        return self._weights(features).squeeze(1)

    def _weights(self, features: Tensor) -> Tensor:
        # Maxima with their places: their gradient takes a third of the time that amax needs for it.
        maps = [features.mean(1), features.max(1).values]
        by_slices = features.ndim == 5 and features.device.type == "cpu" and torch.is_grad_enabled()
        seen = self._by_slices(torch.stack(maps, dim=2)) if by_slices else self.look(torch.stack(maps, dim=1))
        return torch.sigmoid(seen)

    def _by_slices(self, maps: Tensor) -> Tensor:
        """The same convolution in less than half the time: CPUs are slow at the gradient of a single channel in 3D.

        Each slice is convolved in 2D with all slices of the kernel at once, and the results are added where they
        belong.

        Args:
            maps: (B, D, 2, H, W).

        Returns:
            (B, 1, D, H, W).
        """
        batch, slices = maps.shape[:2]
        weight, pad = self.look.weight[0], self.look.padding[0]
        seen = F.conv2d(maps.flatten(0, 1), weight.transpose(0, 1), padding=self.look.padding[1:])
        seen = F.pad(seen.view(batch, slices, *seen.shape[1:]), (0, 0, 0, 0, 0, 0, pad, pad))
        parts = [seen[:, place : place + slices, place] for place in range(weight.shape[1])]
        return (torch.stack(parts).sum(0) + self.look.bias).unsqueeze(1)


class nnUNetTrainerSpatialAttention(AttentionTrainer):
    """nnU-Net with spatial attention behind each stage."""

    attention_trick = "SpatialAttention"

    @classmethod
    def make_attention(cls, channels: int, kernel: tuple[int, ...], layers: PlannedLayers) -> StageAttention:
        """Spatial attention with the size that the name says."""
        return SpatialAttention(kernel, layers, size=cls.parameters["SpatialAttention"].size)
