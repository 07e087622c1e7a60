"""Images as a coarser scan would show them: shrunk to a half or more of their size, and enlarged again.

The transform is nnU-Net's own, with its factors, alike for all channels. The slices of flat patches are not merged.
"""

from __future__ import annotations

from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerLowRes(AugmentationTrainer):
    """nnU-Net that simulates low resolution."""

    def augment(self, recipe: Recipe) -> None:
        """Append a simulation of low resolution to the steps that change grey values."""
        settings = self.parameters["LowRes"]
        coarse = SimulateLowResolutionTransform(
            scale=(settings.low, 1),
            synchronize_channels=True,
            synchronize_axes=True,
            ignore_axes=(0,) if recipe.patch.by_slices else None,
        )
        recipe.intensity.append(RandomTransform(coarse, settings.p))
        super().augment(recipe)
