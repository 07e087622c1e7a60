r"""Depthwise separable convolutions: first along the axes, channel by channel, then across channels.

Chollet, "Xception", CVPR 2017: $y = P * (D * x)$, where $D$ has a kernel for each channel, and $P$ is a convolution of
one voxel. Nothing stands in between: the paper found a nonlinearity there to harm. A planned convolution has
$k C_{in} C_{out}$ weights, with k voxels in its kernel. This pair has $k C_{in} + C_{in} C_{out}$.

Each planned convolution becomes such a pair, but the one that reads the image: an image has few channels, often one,
and a kernel for each would be all that the network ever sees. Xception begins with full convolutions, too.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, its standard name

from nnunet_tricks.tricks.network.blocks.block_trainer import BlockTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.stages import UnitShape


class SeparableConvolution(nn.Module):
    """A convolution of each channel by itself, then one across channels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        layers: PlannedLayers,
    ) -> None:
        """Make both.

        Args:
            in_channels: Number of channels that come in.
            out_channels: Number of channels that go out.
            kernel: Size of the kernels along each axis.
            stride: Step of the first one along each axis.
            layers: Kinds of layers.
        """
        super().__init__()
        self.depthwise: Any = layers.convolution(
            in_channels, in_channels, kernel, stride=stride, groups=in_channels, bias=False
        )
        self.pointwise: Any = layers.convolution(in_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        if features.ndim == 5 and features.device.type == "cpu" and torch.is_grad_enabled():
            return self._by_slices(features)
        return cast(Tensor, self.pointwise(self.depthwise(features)))

    def _by_slices(self, volume: Tensor) -> Tensor:
        """The same, in a fraction of the time: CPUs have no fast gradient for depthwise kernels in 3D.

        Every slice is convolved in 2D with each slice of the kernel, with the channels last. The results are added
        where they belong.
        """
        weight = self.depthwise.weight
        batch, channels, slices = volume.shape[:3]
        (step, *steps), (pad, *pads) = self.depthwise.stride, self.depthwise.padding
        flat = volume.permute(0, 2, 3, 4, 1).contiguous().permute(0, 1, 4, 2, 3)
        deep = (slices - 1) // step + 1

        def part(place: int, first: int, last: int) -> Tensor:
            """What a slice of the kernel adds to some slices of the result."""
            begin = first * step + place - pad
            chosen = flat[:, begin : begin + (last - first - 1) * step + 1 : step].flatten(0, 1)
            seen = F.conv2d(chosen, weight[:, :, place], stride=steps, padding=pads, groups=channels)
            return seen.view(batch, last - first, *seen.shape[1:])

        # The middle of the kernel first: it has a part in every slice of the result.
        total = part(pad, 0, deep)
        for place in (place for place in range(weight.shape[2]) if place != pad):
            first = max(0, -((place - pad) // step))
            last = min(deep, (slices - 1 - place + pad) // step + 1)
            if first < last:
                total[:, first:last] += part(place, first, last)
        mixed = F.conv2d(total.flatten(0, 1), self.pointwise.weight[:, :, 0], self.pointwise.bias)
        return mixed.view(batch, deep, *mixed.shape[1:]).transpose(1, 2).contiguous()


class SeparableUnit(nn.Module):
    """As many separable convolutions as convolutions are planned, each with norm and nonlinearity."""

    def __init__(self, shape: UnitShape, layers: PlannedLayers) -> None:
        """Make them; the one that reads the image stays a full convolution."""
        super().__init__()
        channels, ones = shape.out_channels, (1,) * len(shape.stride)
        self.convs = nn.Sequential()
        for number in range(shape.convolutions):
            before, stride = (channels, ones) if number else (shape.in_channels, shape.stride)
            if shape.reads_image and not number:
                conv = layers.convolution(before, channels, shape.kernel, stride=stride)
            else:
                conv = SeparableConvolution(before, channels, shape.kernel, stride, layers)
            self.convs.append(layers.finished(conv, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        return cast(Tensor, self.convs(features))


class nnUNetTrainerDepthwiseSeparable(BlockTrainer):
    """nnU-Net with depthwise separable convolutions."""

    block_trick = "DepthwiseSeparable"

    @classmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """A unit of separable convolutions."""
        return SeparableUnit(shape, layers)
