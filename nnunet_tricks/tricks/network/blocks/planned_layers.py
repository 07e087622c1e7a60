"""Layers of the kinds that a planned network has, for what is added to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from torch import nn

Sides = int | Sequence[int]
"""One number for all axes, or one for each."""


@dataclass(frozen=True)
class PlannedLayers:
    """What an encoder was built of, by plans or by another trick.

    Attributes:
        conv_op: Class of convolutions.
        norm_op: Class of norm layers, ``None`` for none.
        nonlin: Class of activations, ``None`` for none.
        bias: Whether convolutions before a norm layer have a bias.
        norm_settings: Arguments of norm layers.
        nonlin_settings: Arguments of activations.

    Examples:
        >>> layers = PlannedLayers(nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU)
        >>> layers.convolution(4, 8, (1, 3, 3), dilation=2).padding
        (0, 2, 2)
    """

    conv_op: type[Any]
    norm_op: type[nn.Module] | None
    nonlin: type[nn.Module] | None
    bias: bool = True
    norm_settings: Mapping[str, Any] | None = None
    nonlin_settings: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, encoder: Any) -> PlannedLayers:
        """The layers of an encoder that nnU-Net's decoder takes."""
        return cls(
            encoder.conv_op,
            encoder.norm_op,
            encoder.nonlin,
            bool(encoder.conv_bias),
            encoder.norm_op_kwargs,
            encoder.nonlin_kwargs,
        )

    @property
    def dimensions(self) -> int:
        """Number of spatial axes."""
        return int(convert_conv_op_to_dim(self.conv_op))

    @property
    def needs_two_voxels(self) -> bool:
        """Whether the norm layers take features of at least two voxels: instance norm has no others to compare with."""
        return self.norm_op is not None and issubclass(self.norm_op, nn.modules.instancenorm._InstanceNorm)

    def convolution(
        self,
        incoming: int,
        outgoing: int,
        kernel: Sides = 1,
        *,
        stride: Sides = 1,
        dilation: Sides = 1,
        padded: bool = True,
        bias: bool | None = None,
    ) -> nn.Module:
        """A convolution.

        Args:
            incoming: Channels that come in.
            outgoing: Channels that go out.
            kernel: Size of the kernel.
            stride: Step between outputs.
            dilation: Distance of the kernel's elements.
            padded: Whether zeros around the features keep their size.
            bias: Whether it has a bias; as planned if not given.
        """
        sides, apart = self._each(kernel), self._each(dilation)
        padding = [step * (side - 1) // 2 if padded else 0 for side, step in zip(sides, apart, strict=True)]
        layer: nn.Module = self.conv_op(
            incoming,
            outgoing,
            sides,
            self._each(stride),
            tuple(padding),
            apart,
            bias=self.bias if bias is None else bias,
        )
        return layer

    def norm(self, channels: int) -> nn.Module:
        """A norm layer; one that changes nothing where the plans have none."""
        return nn.Identity() if self.norm_op is None else self.norm_op(channels, **(self.norm_settings or {}))

    def activation(self) -> nn.Module:
        """An activation; one that changes nothing where the plans have none."""
        return nn.Identity() if self.nonlin is None else self.nonlin(**(self.nonlin_settings or {}))

    def block(
        self, incoming: int, outgoing: int, kernel: Sides = 1, *, dilation: Sides = 1, normed: bool = True
    ) -> nn.Sequential:
        """Convolution, norm and activation.

        Args:
            incoming: Channels that come in.
            outgoing: Channels that go out.
            kernel: Size of the kernel.
            dilation: Distance of the kernel's elements.
            normed: Whether there is a norm layer.
        """
        between = (self.norm(outgoing),) if normed else ()
        return nn.Sequential(
            self.convolution(incoming, outgoing, kernel, dilation=dilation), *between, self.activation()
        )

    def _each(self, sides: Sides) -> tuple[int, ...]:
        return (sides,) * self.dimensions if isinstance(sides, int) else tuple(sides)


def deepest_size(patch: Sequence[int], strides: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Voxels of the features in a network's deepest stage.

    Args:
        patch: Voxels of a patch along each axis.
        strides: Stride of each stage along each axis.

    Examples:
        >>> deepest_size((6, 24, 24), [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]])
        (3, 3, 3)
    """
    steps = list(strides)
    whole = [prod(step[axis] for step in steps) for axis in range(len(patch))]
    return tuple(ceil(side / step) for side, step in zip(patch, whole, strict=True))


def whole_numbers(values: Iterable[float], *, name: str, low: int) -> tuple[int, ...]:
    """Numbers of a trainer's name that have to be whole.

    Args:
        values: The numbers.
        name: Name of the parameter, for the message.
        low: Smallest allowed number.

    Raises:
        ValueError: If one is not whole, or too small.

    Examples:
        >>> whole_numbers((1.0, 2.0, 5.0), name="rates of ASPP", low=1)
        (1, 2, 5)
    """
    numbers = tuple(values)
    wrong = [f"{value:g}" for value in numbers if value != int(value) or value < low]
    if wrong:
        raise ValueError(f"{name} must be whole numbers, at least {low}, got {', '.join(wrong)}")
    return tuple(map(int, numbers))


def sides(size: Iterable[int]) -> str:
    """A size as people write it.

    Examples:
        >>> sides((4, 8, 8))
        '4x8x8'
    """
    return "x".join(map(str, size))
