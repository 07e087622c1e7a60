"""Random brightness, contrast and, in colour images, saturation: factors and summands are uniform up to ``most``.

Brightness is added, as in albumentations, and contrast multiplied, within the range of the patch.
"""

from __future__ import annotations

from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from nnunet_tricks.tricks.augmentation.grey import BrightnessContrast, Saturation
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerColorJitter(AugmentationTrainer):
    """nnU-Net that changes brightness, contrast and saturation."""

    def augment(self, recipe: Recipe) -> None:
        """Append brightness and contrast, and in colour images saturation, to the steps that change grey values."""
        settings = self.parameters["ColorJitter"]
        jitter = [BrightnessContrast(brightness=settings.most, contrast=settings.most)]
        if recipe.patch.colour:
            jitter.append(Saturation(settings.most, together=recipe.patch.together))
        else:
            recipe.notes.append("ColorJitter leaves saturation alone: the channels are not called R, G and B")
        recipe.intensity.append(RandomTransform(ComposeTransforms(jitter), settings.p))
        super().augment(recipe)
