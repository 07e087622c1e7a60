"""GTAug-B of the trick paper: objects at other places, in other sizes and orientations.

In 2D half of the patches are shifted by up to 10 % of their sides, scaled by 0.9 to 1.1 and turned by up to 45 degrees,
all at once, and each axis is mirrored with probability 0.5. In 3D half are scaled by 0.85 to 1.25, half are turned by
90, 180 or 270 degrees, and each axis is mirrored with probability 0.5. ``mediseg`` does what the paper's published code
does in 3D: it scales every patch, and turns it about one axis by 0, 90, 180 or 270 degrees.

A moved patch shows the image around the patch that was drawn. The published code knows no surroundings and mirrors 2D
images at their border. Flat 3D patches are warped slice by slice, as in nnU-Net. Zhang D. et al. 2022, section 3.3;
ranges from the published code where the paper is silent.
"""

from __future__ import annotations

from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import Turn, Warp
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


def move_objects(recipe: Recipe, *, mediseg: bool = False) -> None:
    """Add GTAug-B to a recipe.

    Args:
        recipe: Recipe that the steps are appended to.
        mediseg: Whether 3D patches are scaled and turned as in the published code.

    Examples:
        >>> from nnunet_tricks.tricks.augmentation.patch import Patch
        >>> recipe = Recipe(Patch((96, 96, 96), (1, 1, 1), by_slices=False, colour=False))
        >>> move_objects(recipe)
        >>> recipe.loaded_size, recipe.mirror
        ((113, 113, 113), (0, 1, 2))
    """
    dimensions = len(recipe.patch.size)
    if dimensions == 2:
        recipe.steps.append(Warp(p=0.5, shift=0.1, scale=(0.9, 1.1), rotation=45))
    else:
        recipe.steps += [_turn(recipe, mediseg=mediseg), Warp(p=1.0 if mediseg else 0.5, scale=(0.85, 1.25))]
    recipe.mirror = tuple(range(dimensions))
    if mediseg and dimensions == 2:
        recipe.notes.append("mediseg changes nothing here: in 2D the published code does what the paper says")


def _turn(recipe: Recipe, *, mediseg: bool) -> Turn:
    axes = recipe.patch.plane.turning_axes
    recipe.note_turns()
    if mediseg:
        return Turn(p=1.0, axes=axes[:2], quarters=(0, 1, 2, 3))
    return Turn(p=0.5, axes=axes)


class nnUNetTrainerGTAugB(AugmentationTrainer):
    """nnU-Net that shifts, scales, turns and mirrors as the trick paper does, and augments in no other way."""

    def augment(self, recipe: Recipe) -> None:
        """Append the moves and flips of GTAug-B."""
        move_objects(recipe, mediseg=self.parameters["GTAugB"].mediseg)
        super().augment(recipe)
