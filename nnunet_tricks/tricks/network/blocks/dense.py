r"""Dense units: each layer sees what all layers before it have computed.

Huang et al., "Densely connected convolutional networks", CVPR 2017, eq. 2: $x_l = H_l([x_0, x_1, ..., x_{l-1}])$. Each
$H_l$ adds ``growth`` times as many channels as the stage has. A convolution of one voxel makes the planned number of
channels of $[x_0, ..., x_n]$; it is the paper's transition layer, and so is the mean of voxels where the stage has a
stride. $H_l$ is convolution, norm and nonlinearity in the order of the plans. The paper's order is the reverse.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.block_trainer import BlockTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.stages import UnitShape


class DenseUnit(nn.Module):
    """Layers that see all features before them, and a layer that mixes everything.

    Attributes:
        growth: Number of channels that each layer adds.
    """

    def __init__(self, shape: UnitShape, layers: PlannedLayers, *, growth: float) -> None:
        """Make as many layers as convolutions are planned.

        Args:
            shape: What goes in and comes out.
            layers: Kinds of layers.
            growth: Channels that each layer adds, as a share of the channels that go out.
        """
        super().__init__()
        self.growth = max(1, round(growth * shape.out_channels))
        self.pool = layers.pool(shape.stride)
        self.layers = nn.ModuleList(
            layers.finished(
                layers.convolution(shape.in_channels + number * self.growth, self.growth, shape.kernel), self.growth
            )
            for number in range(shape.convolutions)
        )
        known = shape.in_channels + shape.convolutions * self.growth
        self.transition = layers.finished(layers.convolution(known, shape.out_channels), shape.out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        known = self.pool(features)
        for layer in self.layers:
            known = torch.cat([known, layer(known)], dim=1)
        return cast(Tensor, self.transition(known))


class nnUNetTrainerDense(BlockTrainer):
    """nnU-Net with dense units."""

    block_trick = "Dense"

    @classmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """A dense unit with the growth that the name says."""
        return DenseUnit(shape, layers, growth=cls.parameters["Dense"].growth)
