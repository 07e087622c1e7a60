"""Smooth random displacements of all voxels: Simard et al. 2003; U-Net (Ronneberger et al. 2015).

Normal noise is smoothed by a Gaussian of 5 to 10 % of the patch's sides. It is then scaled so that the largest
displacement along each axis is uniform from 0 to ``shift`` times the side.
"""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import Warp
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


class nnUNetTrainerElastic(AugmentationTrainer):
    """nnU-Net that bends patches."""

    def augment(self, recipe: Recipe) -> None:
        """Append an elastic deformation to the steps that move voxels."""
        settings = self.parameters["Elastic"]
        recipe.steps.append(Warp(p=settings.p, bend=settings.shift))
        super().augment(recipe)
