r"""Inception units: branches that see neighbourhoods of different size, side by side.

Szegedy et al., "Going deeper with convolutions", CVPR 2015, put convolutions of several sizes side by side, and join
their channels: $y = [b_1(x), ..., b_4(x)]$. Large kernels are expensive. Gu et al., "CE-Net", IEEE TMI 2019, have
convolutions with gaps in their place: the dense atrous convolution block has branches of convolutions with rates 1;
3; 1, 3; and 1, 3, 5. With kernels of 3 they see 3, 7, 9 and 19 voxels along an axis.

Here are CE-Net's branches, joined as in the Inception module: each makes a quarter of the planned channels. CE-Net adds
branches of full width to the input, once, in the deepest stage. That would cost several times the plan in each stage.
Its branches with gaps also end in a convolution of one voxel, which is left out here, as the next unit joins them.
Every convolution has its norm and nonlinearity. Where a stage is smaller than a rate, the outer weights of that
convolution only see the padding, so that it is one of fewer voxels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.block_trainer import BlockTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.stages import UnitShape

RATES = ((1,), (3,), (1, 3), (1, 3, 5))
"""Rates of the convolutions of each branch, as in CE-Net."""


class InceptionUnit(nn.Module):
    """Four branches whose channels are joined; it stands in place of one or two convolutions."""

    def __init__(self, shape: UnitShape, layers: PlannedLayers) -> None:
        """Divide the channels among the branches; the first ones get one more where they do not divide evenly.

        Raises:
            ValueError: If there are fewer channels than branches.
        """
        super().__init__()
        if shape.out_channels < len(RATES):
            raise ValueError(f"out_channels must be at least {len(RATES)}, got {shape.out_channels}")
        self.branches = nn.ModuleList()
        for number, rates in enumerate(RATES):
            width = (shape.out_channels + len(RATES) - 1 - number) // len(RATES)
            convolutions = [
                layers.convolution(
                    width if place else shape.in_channels,
                    width,
                    shape.kernel,
                    stride=1 if place else shape.stride,
                    dilation=rate,
                )
                for place, rate in enumerate(rates)
            ]
            self.branches.append(nn.Sequential(*(layers.finished(conv, width) for conv in convolutions)))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        return torch.cat([branch(features) for branch in self.branches], dim=1)


class nnUNetTrainerInception(BlockTrainer):
    """nnU-Net with Inception units that have atrous branches."""

    block_trick = "Inception"
    fewest_channels = len(RATES)

    @classmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """An Inception unit."""
        return InceptionUnit(shape, layers)
