r"""Pyramid pooling: the deepest features beside their means over few large cells.

$y = f(W * [x, U(f(W_1 p_{b_1} x)), ..., U(f(W_n p_{b_n} x))])$: $p_b$ is the mean over b cells along each axis, a 1 x 1
convolution leads to C / n channels, U enlarges by linear interpolation, and a convolution of the plans' kernel brings
the result back to C channels. Norm and activation f follow each convolution. Zhao et al., "Pyramid scene parsing
network", CVPR 2017, with 1, 2, 3 and 6 cells.

Along an axis with fewer voxels than cells each voxel is one cell. Pools as fine as the map itself say nothing new and
are left out, all but one where the map is a single voxel; the log says so. The mean of the whole map has no norm layer,
as it is a single value for each channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.bottleneck import Bottleneck, BottleneckTrainer
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers, sides, whole_numbers


class PoolingPyramid(nn.Module):
    """Means over cells of several sizes, next to the features themselves.

    Examples:
        >>> layers = PlannedLayers(nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU)
        >>> pyramid = PoolingPyramid(16, layers, kernel=(3, 3), pools=[(1, 1), (3, 2)])
        >>> pyramid(torch.randn(2, 16, 6, 5)).shape
        torch.Size([2, 16, 6, 5])
    """

    def __init__(
        self,
        channels: int,
        layers: PlannedLayers,
        *,
        kernel: Sequence[int],
        pools: Sequence[Sequence[int]],
        normed_mean: bool = False,
    ) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features.
            layers: Layers of the network.
            kernel: Size of the last kernel along each axis.
            pools: Cells of each pool along each axis.
            normed_mean: Whether the pool of a single cell has a norm layer.
        """
        super().__init__()
        width = max(1, channels // len(pools))
        self.pools = tuple(map(tuple, pools))
        self.branches = nn.ModuleList(
            layers.block(channels, width, normed=normed_mean or prod(cells) > 1) for cells in self.pools
        )
        self.last = layers.block(channels + len(self.pools) * width, channels, kernel)
        self.mode = "bilinear" if layers.dimensions == 2 else "trilinear"
        self._pool: Any = F.adaptive_avg_pool2d if layers.dimensions == 2 else F.adaptive_avg_pool3d

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *spatial) -> the same shape."""
        size = features.shape[2:]
        levels = [features]
        for cells, branch in zip(self.pools, self.branches, strict=True):
            level = branch(self._pool(features, cells))
            levels.append(F.interpolate(level, size=size, mode=self.mode, align_corners=False))
        result: Tensor = self.last(torch.cat(levels, 1))
        return result


def fitting_pools(bins: Sequence[int], size: Sequence[int]) -> list[tuple[int, ...]]:
    """The cells of a map's pools along each axis.

    Args:
        bins: Cells of each pool, the same along all axes.
        size: Voxels of the map along each axis.

    Returns:
        Cells along each axis, each once.

    Examples:
        >>> fitting_pools((1, 2, 3, 6), (3, 8, 8)), fitting_pools((1, 2, 3, 6), (4, 4))
        ([(1, 1, 1), (2, 2, 2), (3, 3, 3), (3, 6, 6)], [(1, 1), (2, 2), (3, 3)])
        >>> fitting_pools((1, 2), (1, 1))
        [(1, 1)]
    """
    fitted = list(dict.fromkeys(tuple(min(cells, side) for side in size) for cells in bins))
    return [cells for cells in fitted if cells != tuple(size)] or fitted[:1]


class nnUNetTrainerPyramidPooling(BottleneckTrainer):
    """nnU-Net with pyramid pooling behind the deepest stage."""

    bottleneck_trick = "PyramidPooling"

    @classmethod
    def bins(cls) -> tuple[int, ...]:
        """The cells of the name.

        Raises:
            ValueError: If a number is not whole, or occurs twice.
        """
        bins = whole_numbers(cls.parameters["PyramidPooling"].bins, name="bins of PyramidPooling", low=1)
        if len(set(bins)) < len(bins):
            raise ValueError(f"bins of PyramidPooling must differ, got {', '.join(map(str, bins))}")
        return bins

    @classmethod
    def make_bottleneck(cls, place: Bottleneck) -> nn.Module:
        """The pyramid."""
        pools = fitting_pools(cls.bins(), place.size)
        return PoolingPyramid(place.channels, place.layers, kernel=place.kernel, pools=pools)

    def bottleneck_notes(self, place: Bottleneck) -> Iterator[str]:
        """Which pools do not fit."""
        bins, pools = self.bins(), fitting_pools(self.bins(), place.size)
        if pools != [(cells,) * len(place.size) for cells in bins]:
            yield (
                f"pools of {', '.join(map(str, bins))} cells are {', '.join(map(sides, pools))} in a bottleneck of "
                f"{sides(place.size)}"
            )
