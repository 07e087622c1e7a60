r"""Atrous spatial pyramid pooling: the deepest features at several distances at once.

$y = P[f_1(x), f_{r_1}(x), ..., f_{r_n}(x), U(f_m(\bar x))]$: a 1 x 1 convolution, one of the plans' kernel for each
rate r, whose elements are r voxels apart, and one of the mean of the whole map. They are put next to each other, and
the 1 x 1 convolution P brings them back to C channels. Norm and activation follow each convolution. Chen et al.,
"Encoder-decoder with atrous separable convolution for semantic image segmentation", ECCV 2018, for maps of 33 x 33
pixels, with rates 6, 12 and 18. nnU-Net's deepest maps have 4 to 8 voxels along an axis, so the default keeps the
proportions: 2, 4 and 6.

These rates have a common factor, and such branches never compare a voxel with its neighbours ("gridding"). ``hybrid``
has the rates 1, 2 and 5 of Wang et al., "Understanding convolution for semantic segmentation", WACV 2018.

An element further away than the map is wide only sees zeros. So a rate is at most the map's width less one, axis by
axis, and rates that become equal are one branch; the log says so. Branches have a quarter of the channels. The mean of
the map has no norm layer, as it is a single value for each channel.

Identity: with batch norm, ReLU and a norm layer for the mean it is torchvision's ``ASPP`` without its dropout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.bottleneck import Bottleneck, BottleneckTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers, sides, whole_numbers

HYBRID = (1, 2, 5)
"""Rates without a common factor."""
NARROWER = 4
"""How many times fewer channels a branch has."""


class AtrousPyramid(nn.Module):
    """Branches with kernels of several widths, and the mean of the map.

    With w channels in a branch and k elements in a kernel its n + 2 branches have (2 + n k) C w weights, and the last
    convolution (n + 2) w C, besides biases and norm layers.

    Examples:
        >>> layers = PlannedLayers(nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU)
        >>> pyramid = AtrousPyramid(16, layers, kernel=(3, 3), dilations=[(2, 2), (4, 4)])
        >>> pyramid(torch.randn(2, 16, 6, 5)).shape
        torch.Size([2, 16, 6, 5])
    """

    def __init__(
        self,
        channels: int,
        layers: PlannedLayers,
        *,
        kernel: Sequence[int],
        dilations: Sequence[Sequence[int]],
        width: int = 0,
        normed_mean: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features.
            layers: Layers of the network.
            kernel: Size of the kernels along each axis.
            dilations: Distances of the elements of each branch along each axis.
            width: Channels of a branch; a quarter of the channels if not given.
            normed_mean: Whether the branch of the mean has a norm layer.
        """
        super().__init__()
        width = width or max(1, channels // NARROWER)
        self.branches = nn.ModuleList(
            [
                layers.block(channels, width),
                *(layers.block(channels, width, kernel, dilation=dilation) for dilation in dilations),
            ]
        )
        self.mean = layers.block(channels, width, normed=normed_mean)
        self.project = layers.block((len(self.branches) + 1) * width, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *spatial) -> the same shape."""
        axes = tuple(range(2, features.ndim))
        mean = self.mean(features.mean(axes, keepdim=True))
        branches = [branch(features) for branch in self.branches]
        result: Tensor = self.project(torch.cat([*branches, mean.expand_as(branches[0])], 1))
        return result


def fitting_rates(rates: Sequence[int], size: Sequence[int], kernel: Sequence[int]) -> list[tuple[int, ...]]:
    """The dilations of a map's branches.

    Args:
        rates: Rates, the same along all axes.
        size: Voxels of the map along each axis.
        kernel: Size of the kernels along each axis; where it is 1, there is no distance.

    Returns:
        Dilations along each axis, each once.

    Examples:
        >>> fitting_rates((2, 4, 6), (3, 8, 8), (3, 3, 3))
        [(2, 2, 2), (2, 4, 4), (2, 6, 6)]
        >>> fitting_rates((2, 4, 6), (4, 4), (3, 3)), fitting_rates((2, 4), (1, 1), (3, 3))
        ([(2, 2), (3, 3)], [(1, 1)])
    """
    fitted = (
        tuple(max(1, min(rate, side - 1)) if width > 1 else 1 for side, width in zip(size, kernel, strict=True))
        for rate in rates
    )
    return list(dict.fromkeys(fitted))


def chosen_rates(rates: Sequence[float], trick: str, *, hybrid: bool) -> tuple[int, ...]:
    """The rates of a trainer's name.

    Raises:
        ValueError: If one is not a whole number, or one occurs twice.
    """
    chosen = HYBRID if hybrid else whole_numbers(rates, name=f"rates of {trick}", low=1)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"rates of {trick} must differ, got {', '.join(map(str, chosen))}")
    return chosen


def rates_notes(rates: Sequence[int], size: Sequence[int], kernel: Sequence[int]) -> Iterator[str]:
    """Lines for the log: which rates do not fit, and which voxels no branch sees.

    Args:
        rates: Rates of the name.
        size: Voxels of the map along each axis.
        kernel: Size of the kernels along each axis.

    Examples:
        >>> for line in rates_notes((2, 4, 6), (4, 8), (3, 3)):
        ...     print(line)
        rates 2, 4, 6 are 2x2, 3x4, 3x6 in a bottleneck of 4x8, as wider kernels would only see zeros
    """
    dilations = fitting_rates(rates, size, kernel)
    if any(step != rate for rate in rates for step in fitting_rates((rate,), size, kernel)[0]):
        yield (
            f"rates {', '.join(map(str, rates))} are {', '.join(map(sides, dilations))} in a bottleneck of "
            f"{sides(size)}, as wider kernels would only see zeros"
        )
    elif (common := gcd(*rates)) > 1:
        yield (
            f"rates {', '.join(map(str, rates))} have the common factor {common}: voxels between are not compared, "
            "'hybrid' has rates without one"
        )


def make_pyramid(place: Bottleneck, rates: Sequence[int]) -> AtrousPyramid:
    """A pyramid for the features of a deepest stage."""
    dilations = fitting_rates(rates, place.size, place.kernel)
    return AtrousPyramid(place.channels, place.layers, kernel=place.kernel, dilations=dilations)


class AtrousTrainer(BottleneckTrainer):
    """A trainer with rates in its name."""

    @classmethod
    def rates(cls) -> tuple[int, ...]:
        """The rates of the name."""
        settings = cls.parameters[cls.bottleneck_trick]
        return chosen_rates(settings.rates, cls.bottleneck_trick, hybrid=settings.hybrid)

    @classmethod
    def make_bottleneck(cls, place: Bottleneck) -> nn.Module:
        """The pyramid."""
        return make_pyramid(place, cls.rates())

    def bottleneck_notes(self, place: Bottleneck) -> Iterator[str]:
        """Which rates do not fit, and which voxels no branch sees."""
        yield from rates_notes(self.rates(), place.size, place.kernel)


class nnUNetTrainerASPP(AtrousTrainer):
    """nnU-Net with atrous spatial pyramid pooling behind the deepest stage."""

    bottleneck_trick = "ASPP"
