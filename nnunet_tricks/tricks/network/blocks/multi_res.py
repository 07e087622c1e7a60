r"""MultiRes units: three convolutions in a row, whose results stand side by side.

Ibtehaz and Rahman, "MultiResUNet", Neural Networks 2020: kernels of 5 and 7 are two and three kernels of 3 in a row.
With $c_i$ as the i-th convolution with norm and nonlinearity, $c_1 = c_1(x)$, $c_2 = c_2(c_1)$, $c_3 = c_3(c_2)$:
$y = N(\sigma(N([c_1, c_2, c_3]) + N(W_s x)))$. Their widths are W/6, W/3 and W/2, as the paper has them, rounded down,
and $c_3$ gets the rest. $W_s$ is a convolution of one voxel.

The paper sets W = 1.67 U, with U as the width of the plain U-Net. Here W is the planned width, so that the stage keeps
its channels. Where it has a stride, $c_1$ and $W_s$ step, the latter after the mean of the voxels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.block_trainer import BlockTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.stages import UnitShape

FEWEST = 3
"""Channels without which one of the three convolutions would have none."""


def widths(channels: int) -> tuple[int, int, int]:
    """Channels of the three convolutions.

    Examples:
        >>> widths(51), widths(4)
        ((8, 17, 26), (1, 1, 2))
    """
    first, second = max(1, channels // 6), max(1, channels // 3)
    return first, second, channels - first - second


class MultiResUnit(nn.Module):
    """Three convolutions in a row with all their results; it stands in place of one or two convolutions."""

    def __init__(self, shape: UnitShape, layers: PlannedLayers) -> None:
        """Make the convolutions and the way around them.

        Raises:
            ValueError: If there are fewer channels than convolutions.
        """
        super().__init__()
        if shape.out_channels < FEWEST:
            raise ValueError(f"out_channels must be at least {FEWEST}, got {shape.out_channels}")
        first, second, third = widths(shape.out_channels)
        self.convs = nn.ModuleList(
            layers.finished(layers.convolution(before, width, shape.kernel, stride=stride), width)
            for before, width, stride in (
                (shape.in_channels, first, shape.stride),
                (first, second, 1),
                (second, third, 1),
            )
        )
        projection = layers.convolution(shape.in_channels, shape.out_channels)
        self.shortcut = nn.Sequential(layers.pool(shape.stride), layers.normalised(projection, shape.out_channels))
        self.joined_norm = layers.normalisation(shape.out_channels)
        self.nonlin = layers.nonlinearity()
        self.norm = layers.normalisation(shape.out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        results, last = [], features
        for conv in self.convs:
            last = conv(last)
            results.append(last)
        joined = self.joined_norm(torch.cat(results, dim=1)).add_(self.shortcut(features))
        return cast(Tensor, self.norm(self.nonlin(joined)))


class nnUNetTrainerMultiRes(BlockTrainer):
    """nnU-Net with MultiRes units."""

    block_trick = "MultiRes"
    fewest_channels = FEWEST

    @classmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """A MultiRes unit."""
        return MultiResUnit(shape, layers)
