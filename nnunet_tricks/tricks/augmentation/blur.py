"""Blurred images: a Gaussian of at most ``sigma`` voxels and at least half of that, alike for all channels and axes.

The transform is nnU-Net's own, with its range.
"""

from __future__ import annotations

from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerBlur(AugmentationTrainer):
    """nnU-Net that blurs images."""

    def augment(self, recipe: Recipe) -> None:
        """Append a Gaussian blur to the steps that change grey values."""
        settings = self.parameters["Blur"]
        sigma = (settings.sigma / 2, settings.sigma)
        gaussian = GaussianBlurTransform(sigma, synchronize_channels=True, synchronize_axes=True)
        recipe.intensity.append(RandomTransform(gaussian, settings.p))
        super().augment(recipe)
