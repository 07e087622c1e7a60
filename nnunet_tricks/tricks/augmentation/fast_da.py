"""nnU-Net's augmentation in less time, where that cannot be bit-identical: patches differ by rounding only.

The same numbers are drawn, so that each patch is nnU-Net's to 1e-4 of its range, and label maps are the same. A blur
with at most seven weights is a sum of moved images, which takes a tenth of a convolution's time. A gamma correction
needs six passes over the image instead of fourteen. Both stand in for nnU-Net's wherever it, or another trick, uses
them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from torch import Tensor

from nnunet_tricks.training.resampling.exact_blur import WIDEST, ExactBlurTransform, gaussian
from nnunet_tricks.training.resampling.swap import in_place_of, with_replaced
from nnunet_tricks.training.trainer import MakeTransforms, TrickTrainer

SMALLEST = 1e-7
"""What nnU-Net's gamma correction takes a range or a deviation of 0 for."""


class FastBlur(GaussianBlurTransform):
    """nnU-Net's Gaussian blur, as a sum of moved images."""

    def _apply_to_image(self, image: Tensor, **parameters: Any) -> Tensor:
        sigmas = parameters["sigmas"]
        channels = torch.nonzero(torch.as_tensor(parameters["apply_to_channel"])).flatten().tolist()
        if self.synchronize_channels:
            sigmas = [sigmas] * len(channels)
        kernels = [[gaussian(sigma) for sigma in of_channel] for of_channel in sigmas]
        if any(not _fits(image.shape[1:], of_channel) for of_channel in kernels):
            blurred: Tensor = super()._apply_to_image(image, **parameters)
            return blurred
        for channel, of_channel in zip(channels, kernels, strict=True):
            part = image[channel]
            for axis, kernel in enumerate(of_channel):
                part = moved_sum(part, kernel, axis)
            image[channel] = part
        return image


class FastGamma(GammaTransform):
    """nnU-Net's gamma correction with fewer passes over the image."""

    def _apply_to_image(self, image: Tensor, **parameters: Any) -> Tensor:
        for number, channel in enumerate(parameters["apply_to_channel"].tolist()):
            invert = bool(parameters["invert_image"][number])
            retain = bool(parameters["retain_stats"][number])
            with_gamma(image[channel], float(parameters["gamma"][number]), invert=invert, retain=retain)
        return image


def moved_sum(image: Tensor, weights: list[float], axis: int) -> Tensor:
    """The image blurred along an axis, as if it were mirrored at its border.

    Args:
        image: Any shape.
        weights: An odd number of them, fewer than twice the voxels along the axis.
        axis: The axis.
    """
    reach, side = len(weights) // 2, image.shape[axis]
    result = image * weights[reach]
    for distance in range(1, reach + 1):
        before, after = weights[reach - distance], weights[reach + distance]
        inner = side - distance
        result.narrow(axis, distance, inner).add_(image.narrow(axis, 0, inner), alpha=before)
        result.narrow(axis, 0, inner).add_(image.narrow(axis, distance, inner), alpha=after)
        result.narrow(axis, 0, distance).add_(image.narrow(axis, 1, distance).flip(axis), alpha=before)
        result.narrow(axis, inner, distance).add_(image.narrow(axis, inner - 1, distance).flip(axis), alpha=after)
    return result


def with_gamma(image: Tensor, gamma: float, *, invert: bool, retain: bool) -> None:
    """Change an image in place.

    Args:
        image: One channel.
        gamma: Power of the grey values, once they are from 0 to 1.
        invert: Whether dark is bright meanwhile.
        retain: Whether mean and standard deviation stay.
    """
    low, high = torch.aminmax(image)
    span = high - low
    scale = torch.clamp(span, min=SMALLEST)
    if retain:
        mean, deviation = _moments(image)
    sign = -1.0 if invert else 1.0
    # From 0 to 1, upside down if it is inverted.
    image.sub_(high if invert else low).mul_(sign / scale).clamp_min_(0).pow_(gamma)
    if not retain:
        image.mul_(sign * span).add_(high if invert else low)
        return
    mean_here, deviation_here = _moments(image)
    factor = span * deviation / torch.clamp(span * deviation_here, min=SMALLEST)
    image.sub_(mean_here).mul_(sign * factor).add_(mean)


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation; torch takes several times as long for the latter alone."""
    mean = image.mean()
    off = (image - mean).flatten()
    return mean, (torch.dot(off, off) / max(off.numel() - 1, 1)).sqrt()


def _fits(size: torch.Size, kernels: list[list[float]]) -> bool:
    return all(len(kernel) <= WIDEST and len(kernel) // 2 < side for kernel, side in zip(kernels, size, strict=True))


def fast(transforms: Any) -> Any:
    """Transforms with ours in place of nnU-Net's."""
    blur, gamma = partial(in_place_of, kind=FastBlur), partial(in_place_of, kind=FastGamma)
    return with_replaced(transforms, {GaussianBlurTransform: blur, ExactBlurTransform: blur, GammaTransform: gamma})


class nnUNetTrainerFastDA(TrickTrainer):
    """nnU-Net whose augmentation takes less time, and patches differ by rounding."""

    def sooner(self, make: MakeTransforms) -> MakeTransforms:
        """What all our trainers do, and more."""
        exact = super().sooner(make)

        def made(*arguments: Any, **settings: Any) -> Any:
            return fast(exact(*arguments, **settings))

        return made
