"""Normal noise, cut off at two standard deviations, as in the 3D GTAug-A of the trick paper."""

from __future__ import annotations

from batchgeneratorsv2.transforms.utils.random import RandomTransform

from nnunet_tricks.tricks.augmentation.grey import RangeNoise
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerNoise(AugmentationTrainer):
    """nnU-Net that adds noise."""

    def augment(self, recipe: Recipe) -> None:
        """Append noise to the steps that change grey values."""
        settings = self.parameters["Noise"]
        recipe.intensity.append(RandomTransform(RangeNoise(settings.sigma), settings.p))
        super().augment(recipe)
