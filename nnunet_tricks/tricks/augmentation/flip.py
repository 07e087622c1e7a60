"""Mirrored patches: each axis with probability 0.5, as in the trick paper's figure 3; all axes also at inference."""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerFlip(AugmentationTrainer):
    """nnU-Net that mirrors patches along every axis."""

    def augment(self, recipe: Recipe) -> None:
        """Mirror along all axes."""
        recipe.mirror = tuple(range(len(recipe.patch.size)))
        super().augment(recipe)
