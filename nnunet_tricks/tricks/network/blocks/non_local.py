r"""Non-local attention: each voxel of the deepest features looks at all others.

$z_i = x_i + W_z \sum_j a_{ij} W_g x_j$ with $a_{ij} = softmax_j(W_\theta x_i \cdot W_\phi x_j)$, the embedded
Gaussian of Wang et al., "Non-local neural networks", CVPR 2018, eq. 2 to 6. Embeddings have half of the channels. As in
the paper, the product is not divided by the square root of their number. $W_z$ begins with zeros: at first the network
is the planned one, bit for bit.

A map of N voxels that look at M others needs N M coefficients $a_{ij}$. There are at most the square of ``tokens``.
With more voxels than ``tokens``, what is looked at are means over cells, as in the paper's section 3.3, and the log
says so. A map of more voxels than the square is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, prod
from typing import Any

import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.tricks.network.blocks.bottleneck import Bottleneck, BottleneckTrainer
from nnunet_tricks.tricks.network.blocks.first_weights import BeginsAsIdentity, zero
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers, sides


class NonLocalAttention(BeginsAsIdentity):
    """Attention of each voxel of a map to all others, added to it.

    With c = C // 2 it has 4 C c weights and 3 c + C biases.

    Attributes:
        view_name: Name for people.
        tokens: Square root of the largest number of coefficients.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> attention = NonLocalAttention(8, PlannedLayers(nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU), tokens=64)
        >>> features = torch.randn(2, 8, 4, 8, 8)
        >>> attention(features).shape, attention.coefficients(features).shape
        (torch.Size([2, 8, 4, 8, 8]), torch.Size([2, 256, 16]))
        >>> attention.begin()
        >>> torch.equal(attention(features), features)
        True
    """

    view_name = "non-local attention, how much all others look at a voxel"

    def __init__(self, channels: int, layers: PlannedLayers, *, tokens: int) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features.
            layers: Layers of the network.
            tokens: Voxels up to which all are looked at, see the module.
        """
        super().__init__()
        inner = max(1, channels // 2)
        self.theta = layers.convolution(channels, inner, bias=True)
        self.phi = layers.convolution(channels, inner, bias=True)
        self.g = layers.convolution(channels, inner, bias=True)
        self.last = layers.convolution(inner, channels, bias=True)
        self.tokens = tokens
        self._pool: Any = F.avg_pool2d if layers.dimensions == 2 else F.avg_pool3d

    def begin(self) -> None:
        """Set the weights of the last layer to zero."""
        zero(self.last)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *spatial) -> the same shape."""
        query, key, value = (_rows(part) for part in self._embedded(features))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        grid = attended.transpose(1, 2).reshape(len(features), -1, *features.shape[2:])
        residual: Tensor = self.last(grid)
        return features + residual

    def coefficients(self, features: Tensor) -> Tensor:
        """How much each voxel looks at each other one, or at each cell.

        Args:
            features: (B, C, *spatial).

        Returns:
            (B, N, M), which add to 1 over M.
        """
        query, key, _ = self._embedded(features)
        return (_rows(query) @ _rows(key).transpose(1, 2)).softmax(-1)

    def view(self, features: Tensor) -> Tensor:
        """How much all voxels look at a voxel on average, (B, *spatial); voxels of a cell have the same value."""
        size = features.shape[2:]
        _, key, _ = self._embedded(features)
        looked_at = self.coefficients(features).mean(1).reshape(len(features), *key.shape[2:])
        for axis, (side, step) in enumerate(zip(size, cell_size(size, self.tokens), strict=True), start=1):
            # The last cell may be smaller than the others, so the map is not simply enlarged.
            looked_at = looked_at.repeat_interleave(step, dim=axis).narrow(axis, 0, side)
        return looked_at

    def _embedded(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cell = cell_size(features.shape[2:], self.tokens)
        # Cells at the far end may be smaller; zeros around them would not be means of anything.
        seen = features if max(cell) == 1 else self._pool(features, cell, ceil_mode=True, count_include_pad=False)
        return self.theta(features), self.phi(seen), self.g(seen)


def _rows(embedded: Tensor) -> Tensor:
    """(B, c, *spatial) -> (B, N, c)."""
    return embedded.flatten(2).transpose(1, 2)


def cell_size(size: Sequence[int], tokens: int) -> tuple[int, ...]:
    """Voxels of a cell along each axis, so that a map's coefficients are at most the square of ``tokens``.

    Cells grow by doubling, along the axis with the most cells first.

    Args:
        size: Voxels of the map along each axis.
        tokens: Square root of the largest number of coefficients.

    Raises:
        ValueError: If the map has more voxels than that.

    Examples:
        >>> cell_size((8, 8, 8), 4096), cell_size((16, 24, 24), 4096)
        ((1, 1, 1), (2, 2, 2))
    """
    voxels = prod(size)
    if voxels > tokens**2:
        raise ValueError(
            f"a bottleneck of {sides(size)} has {voxels} voxels, and {tokens} tokens are enough for {tokens**2}: plan "
            "smaller patches or more stages, or give NonLocal more tokens"
        )
    cell = [1] * len(size)

    def cells() -> list[int]:
        return [ceil(side / step) for side, step in zip(size, cell, strict=True)]

    while voxels * prod(cells()) > tokens**2:
        most = max(range(len(size)), key=lambda axis: cells()[axis])
        cell[most] = min(2 * cell[most], size[most])
    return tuple(cell)


def cap_notes(size: Sequence[int], tokens: int) -> Iterator[str]:
    """A line for the log where voxels look at cells.

    Args:
        size: Voxels of the map along each axis.
        tokens: Square root of the largest number of coefficients.
    """
    cell = cell_size(size, tokens)
    if max(cell) > 1:
        seen = prod(ceil(side / step) for side, step in zip(size, cell, strict=True))
        yield (
            f"the {prod(size)} voxels of a bottleneck of {sides(size)} are more than {tokens} tokens: each looks at "
            f"{seen} means over {sides(cell)} voxels"
        )


class nnUNetTrainerNonLocal(BottleneckTrainer):
    """nnU-Net with non-local attention behind the deepest stage."""

    bottleneck_trick = "NonLocal"

    @classmethod
    def make_bottleneck(cls, place: Bottleneck) -> NonLocalAttention:
        """The attention."""
        tokens = cls.parameters["NonLocal"].tokens
        cell_size(place.size, tokens)
        return NonLocalAttention(place.channels, place.layers, tokens=tokens)

    def bottleneck_notes(self, place: Bottleneck) -> Iterator[str]:
        """Whether voxels look at cells."""
        yield from cap_notes(place.size, self.parameters["NonLocal"].tokens)
