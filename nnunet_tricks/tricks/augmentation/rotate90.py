"""Patches turned by 90, 180 or 270 degrees, as in the trick paper's figure 3.

In 3D the plane is drawn, too. Axes change places only if voxels have the same edges along them; the log names them.
"""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import Turn
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerRotate90(AugmentationTrainer):
    """nnU-Net that turns patches by multiples of 90 degrees."""

    def augment(self, recipe: Recipe) -> None:
        """Append quarter turns to the steps that move voxels."""
        recipe.steps.append(Turn(p=self.parameters["Rotate90"].p, axes=recipe.patch.plane.turning_axes))
        recipe.note_turns()
        super().augment(recipe)
