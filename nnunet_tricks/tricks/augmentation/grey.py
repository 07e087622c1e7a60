"""Steps that change grey values. nnU-Net normalises images in many ways, so they work within the range of a patch.

Papers define these steps for images from 0 to 1. Here the smallest value of a channel in the patch stands for 0 and the
largest for 1; a channel of one value stays as it is.
"""

from __future__ import annotations

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform
from torch import Tensor

LUMINANCE = torch.tensor([0.299, 0.587, 0.114])
"""Weights of red, green and blue in the luminance (ITU-R BT.601)."""


class BrightnessContrast(ImageOnlyTransform):
    """Multiplies and adds, alike for all channels, and cuts values off at the ends of the range."""

    def __init__(self, *, brightness: float, contrast: float) -> None:
        """Set up the transform.

        Args:
            brightness: Largest summand, up or down, as a part of the range.
            contrast: Largest difference of the factor from 1.
        """
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast

    def get_parameters(self, **_: object) -> dict[str, float]:
        """Draw factor and summand, each uniformly."""
        return {
            "factor": 1 + float(np.random.uniform(-self.contrast, self.contrast)),
            "summand": float(np.random.uniform(-self.brightness, self.brightness)),
        }

    def _apply_to_image(self, image: Tensor, *, factor: float, summand: float) -> Tensor:
        for channel in image:
            low, high = torch.aminmax(channel)
            channel.sub_(low).mul_(factor).add_(summand * (high - low) + low).clamp_(low, high)
        return image


def unit(image: Tensor, *, together: bool) -> tuple[Tensor, Tensor, Tensor]:
    """An image from 0 to 1, as formulas for colours take it.

    Args:
        image: (channels, *spatial).
        together: Whether the channels share one range, as raw values do; else each has its own.

    Returns:
        The image from 0 to 1, and the factor and the summand that bring it back, each (channels, 1, ...).
    """
    low, high = torch.aminmax(image.flatten(1), dim=1)
    if together:
        low, high = low.min().expand_as(low), high.max().expand_as(high)
    low, extent = (bound.view(-1, *[1] * (image.ndim - 1)) for bound in (low, high - low))
    return (image - low) / torch.where(extent > 0, extent, 1), extent, low


class Saturation(ImageOnlyTransform):
    """Moves the colours of RGB images towards grey or away from it, and cuts values off at the ends of the range."""

    def __init__(self, most: float, *, together: bool = False) -> None:
        """Set up the transform.

        Args:
            most: Largest difference of the factor from 1.
            together: Whether red, green and blue have one scale. Where each is normalised by itself, as by nnU-Net's
                z-score, the channels of grey are not equal, and each is seen within its own range.
        """
        super().__init__()
        self.most = most
        self.together = together

    def get_parameters(self, **_: object) -> dict[str, float]:
        """Draw the factor, uniformly."""
        return {"factor": 1 + float(np.random.uniform(-self.most, self.most))}

    def _apply_to_image(self, image: Tensor, *, factor: float) -> Tensor:
        colours, extent, low = unit(image, together=self.together)
        grey = torch.tensordot(LUMINANCE, colours, 1)
        return (colours - grey).mul_(factor).add_(grey).clamp_(0, 1).mul_(extent).add_(low)


class RangeNoise(ImageOnlyTransform):
    """Adds normal noise, cut off at two standard deviations."""

    def __init__(self, sigma: float) -> None:
        """Set up the transform.

        Args:
            sigma: Standard deviation, as a part of the range of each channel.
        """
        super().__init__()
        self.sigma = sigma

    def get_parameters(self, image: Tensor, **_: object) -> dict[str, Tensor]:
        """Draw the noise, in units of its standard deviation."""
        return {"noise": torch.randn(image.shape).clamp_(-2, 2)}

    def _apply_to_image(self, image: Tensor, *, noise: Tensor) -> Tensor:
        low, high = torch.aminmax(image.flatten(1), dim=1)
        sigma = self.sigma * (high - low).view(-1, *[1] * (image.ndim - 1))
        return image.add_(noise.mul_(sigma))
