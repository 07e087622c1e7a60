r"""Which pixel of one slice corresponds to which of the next, learned from images alone.

This follows Yeung et al., "Sli2Vol: Annotate a 3D volume from a single slice with self-supervised learning", MICCAI
2021. A network turns slices into features. A pixel of the target is described by how well its features agree with those
of the source's pixels around it, $A = \text{softmax}(f_t \cdot f_s)$ over a window. Values of the source are moved to
the target by multiplying them with $A$. The training makes moved grey values of the source equal those of the target.
The network sees only contrasts, not grey values, so it cannot learn to match these.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

PROFILE = 2
"""Radius of the neighbourhood whose contrasts the network sees."""


class Correspondence(nn.Module):
    """Features of slices, and the shares of a window's pixels in one pixel of the next slice.

    Args:
        width: Number of features.
        radius: Radius of the window, in the network's pixels: nothing moves farther from one slice to the next.
    """

    def __init__(self, width: int = 32, radius: int = 4) -> None:
        """Build the layers, and prefer pixels that do not move."""
        super().__init__()
        self.width, self.radius = width, radius
        layers: list[nn.Module] = [_convolution((2 * PROFILE + 1) ** 2 - 1, width, 1)]
        layers += [_Residual(width, dilation) for dilation in (1, 2, 4, 1)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, width, 1))
        steps = torch.arange(-radius, radius + 1)
        squares = (steps[:, None] ** 2 + steps**2).flatten().float()
        # If images do not tell, nothing moves.
        self.bias = nn.Parameter(-squares / radius)
        self.sharpness = nn.Parameter(torch.tensor(2.0))

    def forward(self, slices: Tensor) -> Tensor:
        """Features of length one.

        Args:
            slices: Slices of shape (n, 1, rows, columns), in [0, 1].

        Returns:
            Features of shape (n, width, rows, columns).
        """
        return functional.normalize(self.body(contrasts(slices)), dim=1)

    def shares(self, source: Tensor, target: Tensor) -> Tensor:
        """Shares of the source's pixels around each pixel of the target, from features of both slices.

        Args:
            source: Features of the source, of shape (n, width, rows, columns).
            target: Features of the target, of the same shape.

        Returns:
            Shares of shape (n, window, rows, columns). Their sum over the window is 1; pixels beyond the edge have 0.
        """
        agreement = torch.stack([(target * shifted).sum(1) for shifted in _shifted(source, self.radius)], 1)
        inside = torch.stack([*_shifted(torch.ones_like(source[:1, :1]), self.radius)], 1)[:, :, 0]
        scores = self.sharpness.exp() * agreement + self.bias[None, :, None, None]
        return scores.masked_fill(inside == 0, -torch.inf).softmax(1)


def moved(values: Tensor, shares: Tensor, radius: int) -> Tensor:
    """Move values of the source to their places in the target.

    Args:
        values: Values of the source, of shape (n, channels, rows, columns).
        shares: Shares of shape (n, window, rows, columns).
        radius: Radius of the window.

    Returns:
        Values of the same shape.

    Examples:
        >>> stay = torch.zeros(1, 9, 2, 2)
        >>> stay[:, 4] = 1
        >>> moved(torch.tensor([[[[1.0, 2], [3, 4]]]]), stay, 1).flatten()
        tensor([1., 2., 3., 4.])
    """
    result = torch.zeros_like(values)
    for index, shifted in enumerate(_shifted(values, radius)):
        result = result + shares[:, index, None] * shifted
    return result


def contrasts(slices: Tensor) -> Tensor:
    """Brightness of neighbours minus that of the pixel, in standard deviations of the neighbourhood.

    Args:
        slices: Slices of shape (n, 1, rows, columns).

    Returns:
        Contrasts of shape (n, 24, rows, columns); 0 if nothing differs.
    """
    padded = functional.pad(slices, (PROFILE,) * 4, mode="replicate")
    side = 2 * PROFILE + 1
    around = functional.unfold(padded, side).reshape(len(slices), -1, *slices.shape[2:])
    differences = around - slices
    kept = torch.cat([differences[:, : side**2 // 2], differences[:, side**2 // 2 + 1 :]], 1)
    return kept / (around.std(1, keepdim=True) + 0.02)


def _shifted(values: Tensor, radius: int) -> Iterator[Tensor]:
    """Yield the values from all places of the window, in the order of the shares."""
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
