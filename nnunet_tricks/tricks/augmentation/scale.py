"""Larger and smaller objects, alike along all axes, as in the trick paper's figure 3: by 0.85 to 1.25.

Flat 3D patches are scaled slice by slice, as in nnU-Net.
"""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import Warp
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerScale(AugmentationTrainer):
    """nnU-Net that scales patches."""

    def augment(self, recipe: Recipe) -> None:
        """Append scaling to the steps that move voxels."""
        settings = self.parameters["Scale"]
        recipe.steps.append(Warp(p=settings.p, scale=(settings.low, settings.high)))
        super().augment(recipe)
