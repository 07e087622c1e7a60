r"""Recurrent residual units: a convolution sees its own result again, some times over.

Alom et al., "Recurrent residual convolutional neural network based on U-Net (R2U-Net)", 2018, eq. 1 to 3:
$O(t) = W_f * x_f(t) + W_r * x_r(t - 1) + b$ and $F(x, w) = \max(0, O(t))$ for t up to T = 2. It begins with
$x_r(0) = f(W_f * x + b)$, and the unit is $x_{l+1} = x_l + F(x_l, w_l)$ with two such layers in $F$. The input $x$ of a
layer is the same at all times, so $W_f * x$ is computed once. A well known implementation has one kernel for $W_f$ and
$W_r$; the paper has two.

As in the paper's networks, a convolution of one voxel first makes the planned channels. Where the stage has a stride,
the mean of its voxels is taken. Each time step has a norm layer of its own: running averages of batch norm would
otherwise mix the statistics of different times.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.block_trainer import BlockTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.stages import UnitShape


class RecurrentConvolution(nn.Module):
    """A convolution of an input and of its own last result."""

    def __init__(self, channels: int, kernel: tuple[int, ...], layers: PlannedLayers, *, steps: int) -> None:
        """Make both kernels, and norm and nonlinearity of each time.

        Args:
            channels: Number of channels that come in and go out.
            kernel: Size of both kernels along each axis.
            layers: Kinds of layers.
            steps: Times that the result is seen again.
        """
        super().__init__()
        self.forwards = layers.convolution(channels, channels, kernel)
        self.recurrent = layers.convolution(channels, channels, kernel, bias=False)
        self.finishes = nn.ModuleList(layers.finish(channels) for _ in range(steps + 1))
        # Without a norm before it, a nonlinearity in place would change what all times begin with.
        self._in_place = layers.norm is not None and not layers.dropout and not layers.nonlin_first

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, *spatial) -> the same shape."""
        fed = self.forwards(features)
        first, *later = self.finishes
        state = first(fed if self._in_place else fed.clone())
        for finish in later:
            state = finish(self.recurrent(state).add_(fed))
        return cast(Tensor, state)


class RecurrentResidualUnit(nn.Module):
    """Recurrent convolutions whose result is added to their input."""

    def __init__(self, shape: UnitShape, layers: PlannedLayers, *, steps: int) -> None:
        """Make as many recurrent convolutions as convolutions are planned; see ``RecurrentConvolution``."""
        super().__init__()
        channels = shape.out_channels
        self.pool = layers.pool(shape.stride)
        changes = shape.in_channels != channels
        self.entry = layers.convolution(shape.in_channels, channels) if changes else nn.Identity()
        self.convs = nn.Sequential(
            *(RecurrentConvolution(channels, shape.kernel, layers, steps=steps) for _ in range(shape.convolutions))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        features = self.entry(self.pool(features))
        return features + cast(Tensor, self.convs(features))


class nnUNetTrainerRecurrentResidual(BlockTrainer):
    """nnU-Net with recurrent residual units."""

    block_trick = "RecurrentResidual"

    @classmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """A recurrent residual unit with the steps that the name says."""
        return RecurrentResidualUnit(shape, layers, steps=cls.parameters["RecurrentResidual"].steps)
