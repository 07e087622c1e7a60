"""batchgeneratorsv2's Gaussian blur, bit for bit, in a tenth of the time of its convolution.

A blur along an axis is a sum of moved images, one for each weight of the kernel. The convolutions of torch add them in
the order of the weights. Some round each product before it is added, others do not. Which of them torch takes depends
on the size of the patch, the axis and the kernel. So both sums are compared with a convolution of noise when a process
meets a new size, and the convolution stays in use where neither has its bits.

batchgeneratorsv2 times two ways to blur, a convolution and a Fourier transform, and takes the faster one from then on.
The two differ in the last bits, so its own result depends on the load of the machine. Here it is the convolution's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

import torch
from batchgeneratorsv2.transforms.noise import gaussian_blur
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from torch import Tensor

from nnunet_tricks.training.resampling.swap import in_place_of

SETTINGS = frozenset(
    {
        *("blur_sigma", "synchronize_channels", "synchronize_axes", "p_per_channel"),
        *("benchmark", "benchmark_use_fft", "benchmark_num_runs"),
    }
)
"""Attributes of batchgeneratorsv2's transform whose meaning is known here."""

TRUNCATE = 6
"""Width of a kernel in standard deviations."""

WIDEST = 31
"""Number of weights up to which a sum of moved images is taken."""

CHUNK = 1 << 18
"""How many voxels are blurred at once: they stay in the processor's cache."""


class ExactBlurTransform(GaussianBlurTransform):
    """Sums moved images where this has the bits of a convolution."""

    timed: bool

    @classmethod
    def in_place_of(cls, transform: GaussianBlurTransform) -> ExactBlurTransform | None:
        """A transform with the same settings; ``None`` if it has one that is not known."""
        if vars(transform).keys() != SETTINGS or not hasattr(GaussianBlurTransform, "_benchmark_wrapper"):
            return None
        made = in_place_of(transform, cls)
        # So that each blur along an axis comes here.
        made.timed, made.benchmark = transform.benchmark, True
        return made

    def _benchmark_wrapper(self, img: Tensor, sigma: float, dim_to_blur: int) -> Tensor:
        weights = gaussian(sigma)
        if img.dtype == torch.float32 and img.device.type == "cpu" and len(weights) <= WIDEST:
            fused = is_fused(tuple(img.shape), len(weights), dim_to_blur, torch.get_num_threads())
            if fused is not None:
                return moved_sum(img, weights, dim_to_blur, fused=fused)
        if not self.timed:
            return _convolved(img, sigma, dim_to_blur)
        blurred: Tensor = super()._benchmark_wrapper(img, sigma, dim_to_blur)
        return blurred


def gaussian(sigma: float) -> list[float]:
    """Weights of nnU-Net's kernel, an odd number of them.

    Examples:
        >>> [round(weight, 3) for weight in gaussian(0.5)]
        [0.107, 0.787, 0.107]
    """
    width = sigma * TRUNCATE + 0.5
    count = round(width)
    if count % 2 == 0:
        count += 1 if width >= count else -1
    half = (count - 1) / 2
    place = torch.linspace(-half, half, count)
    weights = torch.exp(-0.5 * (place / sigma).square())
    listed: list[float] = (weights / weights.sum()).tolist()
    return listed


def moved_sum(image: Tensor, weights: list[float], axis: int, *, fused: bool) -> Tensor:
    """The image blurred along an axis, as if it were mirrored at its border.

    Args:
        image: (channels, *spatial), float32.
        weights: An odd number of them, fewer than twice the voxels along the axis.
        axis: The axis, counted without that of the channels.
        fused: Whether a product is added before it is rounded.
    """
    result = torch.empty_like(image, memory_format=torch.contiguous_format)
    reach, side = len(weights) // 2, image.shape[axis + 1]
    for source, target in _blocks(image, result, axis):
        target.zero_()
        for distance, weight in enumerate(weights, -reach):
            far, inner = abs(distance), side - abs(distance)
            here, there = (far, 0) if distance < 0 else (0, far)
            add = partial(_add, weight=weight, fused=fused)
            add(target.narrow(axis, here, inner), source.narrow(axis, there, inner))
            if distance < 0:
                add(target.narrow(axis, 0, far), source.narrow(axis, 1, far).flip(axis))
            elif distance > 0:
                add(target.narrow(axis, inner, far), source.narrow(axis, inner - 1, far).flip(axis))
    return result


def _add(target: Tensor, part: Tensor, weight: float, *, fused: bool) -> None:
    if fused:
        target.add_(part, alpha=weight)
    else:
        target.add_(part * weight)


def _blocks(image: Tensor, result: Tensor, axis: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Parts of an image and of the result with all voxels along an axis."""
    across = 0 if axis else 1
    for channel, target in zip(image, result, strict=True):
        sides = channel.shape
        rows = max(1, CHUNK * sides[across] // channel.numel()) if channel.numel() else 1
        yield from zip(channel.split(rows, across), target.split(rows, across), strict=True)


@lru_cache(maxsize=256)
def is_fused(size: tuple[int, ...], count: int, axis: int, threads: int) -> bool | None:
    """Whether a convolution adds its products before it rounds them; ``None`` if neither sum has its bits.

    Args:
        size: (channels, *spatial).
        count: Number of weights.
        axis: The axis, counted without that of the channels.
        threads: How many threads torch uses.
    """
    noise = torch.randn(size, generator=torch.Generator().manual_seed(0))
    # Zeros have a sign, too.
    noise[..., : size[-1] // 4] *= -0.0
    sigma = (count - 0.5) / TRUNCATE
    try:
        expected = _convolved(noise, sigma, axis).view(torch.int32)
        weights = gaussian(sigma)
        return next(
            (
                fused
                for fused in (False, True)
                if torch.equal(moved_sum(noise, weights, axis, fused=fused).view(torch.int32), expected)
            ),
            None,
        )
    except Exception:
        # Whatever an unknown release raises, and whatever it says of a patch narrower than a kernel, it blurs itself.
        return None


def _convolved(image: Tensor, sigma: float, axis: int) -> Tensor:
    blurred: Tensor = gaussian_blur.blur_dimension(image, sigma, axis)
    return blurred
