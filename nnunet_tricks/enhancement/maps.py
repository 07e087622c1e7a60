"""Looking at every feature map by itself, in float32, without gradient and without copies as large as the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

LEAST_MAPS = 16
"""Grouped convolutions on the CPU work on 16 channels at a time."""


def check_features(features: Tensor, axes: Sequence[int] | None) -> tuple[int, ...]:
    """The spatial axes to look along.

    Args:
        features: (B, C, *spatial), 2D or 3D.
        axes: Some of the spatial axes, counted from 0; all if not given.

    Raises:
        ValueError: If the features have another number of axes, are integers or empty, or an axis is not there.

    Examples:
        >>> check_features(torch.zeros(2, 8, 4, 16, 16), None), check_features(torch.zeros(2, 8, 4, 16, 16), [1, 2])
        ((0, 1, 2), (1, 2))
    """
    dimensions = features.ndim - 2
    if dimensions not in (2, 3) or not features.is_floating_point() or not features.numel():
        raise ValueError(
            f"features must be floating-point numbers of shape (B, C, *spatial) in 2D or 3D, and not empty; got "
            f"{features.dtype} of shape {tuple(features.shape)}"
        )
    chosen = tuple(range(dimensions)) if axes is None else tuple(axes)
    if not chosen or set(chosen) - set(range(dimensions)) or len(set(chosen)) < len(chosen):
        raise ValueError(f"axes must be different spatial axes from 0 to {dimensions - 1}, got {chosen}")
    return chosen


def in_chunks(features: Tensor, values: int) -> Iterator[Tensor]:
    """All feature maps of a batch, some at a time, so that what is computed from them stays small.

    Args:
        features: (B, C, *spatial).
        values: About so many at a time.

    Yields:
        (1, n, *spatial) in float32; one after the other they are the B * C maps.
    """
    maps = features.flatten(0, 1)
    count = max(LEAST_MAPS, values // prod(features.shape[2:]))
    for chunk in torch.split(maps, count):
        yield chunk.float().unsqueeze(0)


def steps_from_centre(axes: Sequence[int], dimensions: int, device: torch.device) -> Tensor:
    """How many steps along axes lead from the centre of a window of 3 to each of its elements.

    Args:
        axes: The axes along which the window has three elements; it has one along the others.
        dimensions: Number of all axes.
        device: Where to compute; nothing is copied there from the host.

    Examples:
        >>> steps_from_centre((0, 1), 2, torch.device("cpu"))
        tensor([[2, 1, 2],
                [1, 0, 1],
                [2, 1, 2]])
    """
    line = torch.arange(-1, 2, device=device).abs()
    shapes = ([3 if axis == other else 1 for other in range(dimensions)] for axis in axes)
    first, *others = (line.view(shape) for shape in shapes)
    return sum(others, start=first)


def filtered(maps: Tensor, kernel: Tensor, *, padding: Sequence[int]) -> Tensor:
    """Each map of (1, n, *spatial) under the same kernel; zeros stand around the maps."""
    count = maps.shape[1]
    convolve = F.conv2d if kernel.ndim == 2 else F.conv3d
    return convolve(maps, kernel.expand(count, 1, *kernel.shape), padding=tuple(padding), groups=count)
