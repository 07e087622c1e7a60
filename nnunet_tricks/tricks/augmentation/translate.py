"""Patches moved by up to a part of their sides, by whole voxels, as in albumentations' shifts (Buslaev et al. 2020).

nnU-Net draws its patches at random places of the image anyway. So this matters where they are centred on foreground,
or where the image is not much larger than the patch.
"""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import Warp
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerTranslate(AugmentationTrainer):
    """nnU-Net that moves patches."""

    def augment(self, recipe: Recipe) -> None:
        """Append a shift to the steps that move voxels."""
        settings = self.parameters["Translate"]
        recipe.steps.append(Warp(p=settings.p, shift=settings.shift))
        super().augment(recipe)
