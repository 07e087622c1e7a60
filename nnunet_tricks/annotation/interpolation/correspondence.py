r"""Which pixel of one slice is which of the next, learned from images alone.

In the manner of Yeung et al., "Sli2Vol: Annotate a 3D volume from a single slice with self-supervised learning", MICCAI
2021: a network turns slices into features; a pixel of the target is described by how much its features agree with
those of the source's pixels around it, $A = \text{softmax}(f_t \cdot f_s)$ over a window. What the source has, the
target then has as $A$ times it. Trained so that the source's grey values, moved so, are the target's. The network sees
contrasts only, not grey values, so it cannot learn to match these.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

PROFILE = 2
"""Radius of the neighbourhood whose contrasts the network sees."""


class Correspondence(nn.Module):
    """Features of slices, and the shares with which pixels of a window come together in one of the next slice.

    Args:
        width: Number of features.
        radius: Of the window, in the network's pixels: no chain moves farther from one slice to the next.
    """

    def __init__(self, width: int = 32, radius: int = 4) -> None:
        """See the class."""
        super().__init__()
        self.width, self.radius = width, radius
        layers: list[nn.Module] = [_convolution((2 * PROFILE + 1) ** 2 - 1, width, 1)]
        layers += [_Residual(width, dilation) for dilation in (1, 2, 4, 1)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, width, 1))
        steps = torch.arange(-radius, radius + 1)
        squares = (steps[:, None] ** 2 + steps**2).flatten().float()
        # Where images say nothing things stay where they are.
        self.bias = nn.Parameter(-squares / radius)
        self.sharpness = nn.Parameter(torch.tensor(2.0))

    def forward(self, slices: Tensor) -> Tensor:
        """Features of length one.

        Args:
            slices: Of shape (n, 1, rows, columns), in [0, 1].

        Returns:
            Of shape (n, width, rows, columns).
        """
        return functional.normalize(self.body(contrasts(slices)), dim=1)

    def shares(self, source: Tensor, target: Tensor) -> Tensor:
        """From features of both slices: for each pixel of the target the shares of the source's pixels around it.

        Args:
            source: Features, of shape (n, width, rows, columns).
            target: The same of the other slice.

        Returns:
            Of shape (n, window, rows, columns); the sum over the window is 1, pixels beyond the edge have 0.
        """
        agreement = torch.stack([(target * one).sum(1) for one in _shifted(source, self.radius)], 1)
        inside = torch.stack([*_shifted(torch.ones_like(source[:1, :1]), self.radius)], 1)[:, :, 0]
        scores = self.sharpness.exp() * agreement + self.bias[None, :, None, None]
        return scores.masked_fill(inside == 0, -torch.inf).softmax(1)


def moved(values: Tensor, shares: Tensor, radius: int) -> Tensor:
    """What the source has, where it is in the target.

    Args:
        values: Of the source, of shape (n, channels, rows, columns).
        shares: Of shape (n, window, rows, columns).
        radius: Of the window.

    Returns:
        Of the same shape as ``values``.

    Examples:
        >>> stay = torch.zeros(1, 9, 2, 2)
        >>> stay[:, 4] = 1
        >>> moved(torch.tensor([[[[1.0, 2], [3, 4]]]]), stay, 1).flatten()
        tensor([1., 2., 3., 4.])
    """
    result = torch.zeros_like(values)
    for index, one in enumerate(_shifted(values, radius)):
        result = result + shares[:, index, None] * one
    return result


def contrasts(slices: Tensor) -> Tensor:
    """How much brighter neighbours are, in standard deviations of the neighbourhood.

    Args:
        slices: Of shape (n, 1, rows, columns).

    Returns:
        Of shape (n, 24, rows, columns); 0 where nothing differs.
    """
    padded = functional.pad(slices, (PROFILE,) * 4, mode="replicate")
    side = 2 * PROFILE + 1
    around = functional.unfold(padded, side).reshape(len(slices), -1, *slices.shape[2:])
    differences = around - slices
    kept = torch.cat([differences[:, : side**2 // 2], differences[:, side**2 // 2 + 1 :]], 1)
    return kept / (around.std(1, keepdim=True) + 0.02)


def _shifted(values: Tensor, radius: int) -> Iterator[Tensor]:
    """The values from all places of the window, in the order of the shares."""
    rows, columns = values.shape[2:]
    padded = functional.pad(values, (radius,) * 4)
    for down in range(2 * radius + 1):
        for across in range(2 * radius + 1):
            yield padded[:, :, down : down + rows, across : across + columns]


def _convolution(before: int, after: int, dilation: int) -> nn.Sequential:
    layer = nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(layer, nn.GroupNorm(4, after), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.Sequential(_convolution(width, width, dilation), _convolution(width, width, dilation))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.block(features)
