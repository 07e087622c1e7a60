"""GTAug-A and GTAug-B of the trick paper together: voxels move first, then grey values change.

This is the order of the paper's published code. The paper's "All" also has images of a generative network.
"""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.gt_aug_a import change_grey_values
from nnunet_tricks.tricks.augmentation.gt_aug_b import move_objects
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerGTAugAB(AugmentationTrainer):
    """nnU-Net that augments with both sets of the trick paper, and in no other way."""

    def augment(self, recipe: Recipe) -> None:
        """Add GTAug-B, then GTAug-A."""
        mediseg = self.parameters["GTAugAB"].mediseg
        move_objects(recipe, mediseg=mediseg)
        change_grey_values(recipe, mediseg=mediseg)
        super().augment(recipe)
