"""Computing on each feature map by itself, in float32, without gradient and without copies as large as the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from math import prod

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

MAPS_AT_ONCE = 16
"""Channels that grouped convolutions on the CPU work on at a time."""

# Torch 2.4 brought get_autocast_dtype. Before it, is_autocast_enabled tells about GPUs only.
_AUTOCAST_BY_DEVICE = hasattr(torch, "get_autocast_dtype")


def check_features(features: Tensor, axes: Sequence[int] | None) -> tuple[int, ...]:
    """The spatial axes along which a score looks.

    Args:
        features: (B, C, *spatial), 2D or 3D.
        axes: Spatial axes, counted from 0; all if not given.

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
    if axes is None:
        return tuple(range(dimensions))
    chosen = tuple(axes)
    if not chosen or set(chosen) - set(range(dimensions)) or len(set(chosen)) < len(chosen):
        raise ValueError(f"axes must be different spatial axes from 0 to {dimensions - 1}, got {chosen}")
    return chosen


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which operations keep float32; an empty one where they do so anyway, since autocast takes time."""
    if not _AUTOCAST_BY_DEVICE or torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def in_chunks(features: Tensor, values: int) -> Iterator[Tensor]:
    """All feature maps of a batch, some at a time, so that intermediate results stay small.

    Args:
        features: (B, C, *spatial).
        values: Number of values at a time, about.

    Yields:
        Maps in float32: (B, C, *spatial) where that is small enough, else (1, n, *spatial); one after the other they
        are the B * C maps.
    """
    if features.numel() <= values:
        yield features.float()
        return
    maps = features.flatten(0, 1)
    whole = values // prod(features.shape[2:]) // MAPS_AT_ONCE * MAPS_AT_ONCE
    for chunk in torch.split(maps, max(MAPS_AT_ONCE, whole)):
        yield chunk.float().unsqueeze(0)


def window(axes: tuple[int, ...], dimensions: int, weights: tuple[float, ...], device: torch.device) -> Tensor:
    """A window of 3 whose weights depend on how many steps along axes lead from the centre to an element.

    Args:
        axes: Axes along which the window has three elements; it has one along the others.
        dimensions: Number of all axes.
        weights: Weight of the centre, of elements one step away, and so on.
        device: Device to make it on; nothing is copied there from the host, which would wait for a GPU.

    Examples:
        >>> window((0, 1), 2, (4.0, 1.0, 0.0), torch.device("cpu"))
        tensor([[0., 1., 0.],
                [1., 4., 1.],
                [0., 1., 0.]])
    """
    # Compiled code makes it anew: the compiler ignores the cache.
    return (_made if torch.compiler.is_compiling() else _kept)(axes, dimensions, weights, device)


def _made(axes: tuple[int, ...], dimensions: int, weights: tuple[float, ...], device: torch.device) -> Tensor:
    line = torch.arange(-1, 2, device=device).abs()
    first, *others = (line.view([3 if axis == other else 1 for other in range(dimensions)]) for axis in axes)
    steps = sum(others, start=first)
    start = torch.zeros_like(steps, dtype=torch.float32)
    return sum((weight * (steps == step) for step, weight in enumerate(weights)), start=start)


@cache
def _kept(axes: tuple[int, ...], dimensions: int, weights: tuple[float, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # so that trainings can use it too
        return _made(axes, dimensions, weights, device)


def filtered(maps: Tensor, kernel: Tensor, *, padding: Sequence[int]) -> Tensor:
    """Each map of (B, C, *spatial) convolved with the same kernel, with zeros around the maps."""
    count = maps.shape[1]
    convolve = F.conv2d if kernel.ndim == 2 else F.conv3d
    return convolve(maps, kernel.expand(count, 1, *kernel.shape), padding=tuple(padding), groups=count)
