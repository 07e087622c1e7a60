"""Layers of the kinds that a planned network has, for what is put into it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, prod
from typing import Any

from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim, get_matching_pool_op
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import nn

Sides = int | Sequence[int]
"""One number for all axes, or one for each."""


@dataclass(frozen=True)
class PlannedLayers:
    """Kinds of layers that a network has, by plans or by another trick.

    Attributes:
        conv: Class of convolutions.
        norm: Class of norm layers, ``None`` for none.
        nonlin: Class of nonlinearities, ``None`` for none.
        bias: Whether convolutions before a norm layer have a bias.
        norm_settings: Arguments of norm layers after the number of channels.
        nonlin_settings: Arguments of nonlinearities.
        dropout: Class of dropout layers, ``None`` for none.
        dropout_settings: Arguments of dropout layers.
        nonlin_first: Whether the nonlinearity comes before the norm layer.

    Examples:
        >>> layers = PlannedLayers(nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU)
        >>> layers.convolution(4, 8, (1, 3, 3), dilation=2).padding
        (0, 2, 2)
        >>> [name for name, _ in layers.finished(layers.convolution(4, 8), 8).named_children()]
        ['conv', 'norm', 'nonlin']
    """

    conv: type[Any]
    norm: type[nn.Module] | None
    nonlin: type[nn.Module] | None
    bias: bool = True
    norm_settings: Mapping[str, Any] = field(default_factory=dict)
    nonlin_settings: Mapping[str, Any] = field(default_factory=dict)
    dropout: type[nn.Module] | None = None
    dropout_settings: Mapping[str, Any] = field(default_factory=dict)
    nonlin_first: bool = False

    @classmethod
    def of(cls, encoder: Any) -> PlannedLayers:
        """The layers of an encoder that nnU-Net's decoder takes."""
        planned = next((module for module in encoder.modules() if isinstance(module, ConvDropoutNormReLU)), None)
        kinds = [type(layer) for layer in planned.all_modules] if planned else []
        both = encoder.norm_op in kinds and encoder.nonlin in kinds
        return cls(
            conv=encoder.conv_op,
            norm=encoder.norm_op,
            nonlin=encoder.nonlin,
            bias=bool(encoder.conv_bias),
            norm_settings=encoder.norm_op_kwargs or {},
            nonlin_settings=encoder.nonlin_kwargs or {},
            dropout=encoder.dropout_op,
            dropout_settings=encoder.dropout_op_kwargs or {},
            nonlin_first=both and kinds.index(encoder.nonlin) < kinds.index(encoder.norm_op),
        )

    @property
    def dimensions(self) -> int:
        """Number of spatial axes."""
        return int(convert_conv_op_to_dim(self.conv))

    def convolution(
        self,
        incoming: int,
        outgoing: int,
        kernel: Sides = 1,
        *,
        stride: Sides = 1,
        dilation: Sides = 1,
        groups: int = 1,
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
            groups: Groups of channels that do not see each other.
            padded: Whether zeros around the features keep their size, for odd kernels.
            bias: Whether it has a bias; as planned if not given.
        """
        sides, apart = self._each(kernel), self._each(dilation)
        padding = [step * (side - 1) // 2 if padded else 0 for side, step in zip(sides, apart, strict=True)]
        layer: nn.Module = self.conv(
            incoming,
            outgoing,
            sides,
            self._each(stride),
            tuple(padding),
            apart,
            groups,
            bias=self.bias if bias is None else bias,
        )
        return layer

    def normalisation(self, channels: int) -> nn.Module:
        """A norm layer; one that changes nothing where the plans have none."""
        return self.norm(channels, **self.norm_settings) if self.norm else nn.Identity()

    def nonlinearity(self) -> nn.Module:
        """A nonlinearity; one that changes nothing where the plans have none."""
        return self.nonlin(**self.nonlin_settings) if self.nonlin else nn.Identity()

    def pool(self, stride: Sequence[int]) -> nn.Module:
        """The mean of as many voxels as the stride steps over; nothing where it steps over none."""
        if prod(stride) == 1:
            return nn.Identity()
        pool: nn.Module = get_matching_pool_op(conv_op=self.conv, adaptive=False, pool_type="avg")(
            tuple(stride), tuple(stride)
        )
        return pool

    def block(
        self, incoming: int, outgoing: int, kernel: Sides = 1, *, dilation: Sides = 1, normed: bool = True
    ) -> nn.Sequential:
        """Convolution, norm and nonlinearity, for parts that are no stages: without dropout, and in this order.

        Args:
            incoming: Channels that come in.
            outgoing: Channels that go out.
            kernel: Size of the kernel.
            dilation: Distance of the kernel's elements.
            normed: Whether there is a norm layer.
        """
        between = (self.normalisation(outgoing),) if normed else ()
        return nn.Sequential(
            self.convolution(incoming, outgoing, kernel, dilation=dilation), *between, self.nonlinearity()
        )

    def finish(self, channels: int) -> nn.Sequential:
        """What nnU-Net has behind a convolution: dropout, norm and nonlinearity, as planned."""
        parts: list[tuple[str, nn.Module]] = []
        if self.dropout:
            parts.append(("dropout", self.dropout(**self.dropout_settings)))
        last = [("norm", self.normalisation(channels)), ("nonlin", self.nonlinearity())]
        parts += reversed(last) if self.nonlin_first else last
        return nn.Sequential(OrderedDict((name, p) for name, p in parts if not isinstance(p, nn.Identity)))

    def finished(self, convolution: nn.Module, channels: int) -> nn.Sequential:
        """A convolution with what nnU-Net has behind it.

        Args:
            convolution: The convolution, or several.
            channels: Number of channels that it gives.
        """
        return nn.Sequential(OrderedDict([("conv", convolution), *self.finish(channels).named_children()]))

    def normalised(self, convolution: nn.Module, channels: int) -> nn.Sequential:
        """A convolution with a norm layer, for sums that come before the nonlinearity; see ``finished``."""
        return nn.Sequential(OrderedDict([("conv", convolution), ("norm", self.normalisation(channels))]))

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
