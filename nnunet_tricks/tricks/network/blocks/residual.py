r"""Residual units: convolutions compute what is to be added to their input.

He et al., "Deep residual learning for image recognition", CVPR 2016, eq. 1 and 2: $y = \sigma(F(x, \{W_i\}) + W_s x)$.
$F$ is the planned convolutions of the stage, each with its norm; the last one has no nonlinearity before the sum.
$W_s x$ is the identity where channels and size stay. Otherwise it is what nnU-Net's own residual encoders have: the
mean of the voxels that the stride steps over, and a convolution of one voxel (ResNet-D). The paper steps over voxels.

The norm before the sum starts with a scale of 0, as in nnU-Net's residual encoders (Goyal et al. 2017). So a new unit
computes $\sigma(W_s x)$.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.block_trainer import BlockTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.stages import UnitShape


def shortcut_of(shape: UnitShape, layers: PlannedLayers) -> nn.Module:
    """The way around a residual unit, as nnU-Net's residual encoders have it.

    Args:
        shape: What goes in and comes out.
        layers: Kinds of layers.
    """
    parts = [layers.pool(shape.stride)] if shape.is_strided else []
    if shape.in_channels != shape.out_channels:
        projection = layers.convolution(shape.in_channels, shape.out_channels, bias=False)
        parts.append(layers.normalised(projection, shape.out_channels))
    return nn.Sequential(*parts) if parts else nn.Identity()


class ResidualUnit(nn.Module):
    """Convolutions whose result is added to their input.

    With two convolutions it is nnU-Net's ``BasicBlockD``. In place of a single one it has one.
    """

    def __init__(self, shape: UnitShape, layers: PlannedLayers) -> None:
        """Make as many convolutions as are planned, and the way around them."""
        super().__init__()
        channels, ones = shape.out_channels, (1,) * len(shape.stride)
        *others, last = [
            layers.convolution(
                channels if number else shape.in_channels,
                channels,
                shape.kernel,
                stride=ones if number else shape.stride,
            )
            for number in range(shape.convolutions)
        ]
        self.convs = nn.Sequential(
            *(layers.finished(conv, channels) for conv in others), layers.normalised(last, channels)
        )
        self.shortcut = shortcut_of(shape, layers)
        self.nonlin = layers.nonlinearity()
        scale = getattr(cast(nn.Sequential, self.convs[-1]).norm, "weight", None)
        if isinstance(scale, nn.Parameter):
            nn.init.zeros_(scale)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        shortcut = self.shortcut(features)
        # In place: neither a norm nor a convolution needs its own result on the way back.
        return cast(Tensor, self.nonlin(self.convs(features).add_(shortcut)))


class nnUNetTrainerResidual(BlockTrainer):
    """nnU-Net with residual units; stages of residual encoders are residual already and stay."""

    block_trick = "Residual"
    replaces_residual = False

    @classmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """A residual unit."""
        return ResidualUnit(shape, layers)
