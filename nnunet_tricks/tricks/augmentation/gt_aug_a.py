"""GTAug-A of the trick paper: other grey values at the same places.

In 2D, each with probability 0.5: brightness and contrast (plus or minus 20 % of the range, factor 0.8 to 1.2), gamma
from 0.8 to 1.2, CLAHE with a limit from 1 to 4. In 3D, each with probability 0.5: normal noise of 10 % of the range,
cut off at 20 %, and gamma from 0.5 to 2, half of the time below 1. With ``mediseg`` every 3D patch gets both, as in the
paper's published code.

CLAHE equalises the luminance of colour images. The channels of other images, such as four MR sequences, are equalised
one by one. Zhang D. et al. 2022, section 3.3; ranges from the published code where the paper is silent.
"""

from __future__ import annotations

from batchgeneratorsv2.transforms.intensity.contrast import BGContrast
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from nnunet_tricks.tricks.augmentation.clahe import CLAHE
from nnunet_tricks.tricks.augmentation.grey import BrightnessContrast, RangeNoise
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer


def change_grey_values(recipe: Recipe, *, mediseg: bool = False) -> None:
    """Add GTAug-A to a recipe.

    Args:
        recipe: Recipe that the steps are appended to.
        mediseg: Whether all 3D patches get noise and gamma, as in the published code.

    Examples:
        >>> from nnunet_tricks.tricks.augmentation.patch import Patch
        >>> recipe = Recipe(Patch((256, 256), (1, 1), by_slices=False, colour=True))
        >>> change_grey_values(recipe)
        >>> [type(step.transform).__name__ for step in recipe.intensity]
        ['BrightnessContrast', 'GammaTransform', 'CLAHE']
    """
    if len(recipe.patch.size) == 2:
        transforms = [
            BrightnessContrast(brightness=0.2, contrast=0.2),
            _gamma((0.8, 1.2)),
            CLAHE((1, 4), colour=recipe.patch.colour, together=recipe.patch.together),
        ]
        if not recipe.patch.colour:
            recipe.notes.append("CLAHE equalises each channel by itself: they are not called R, G and B")
        if mediseg:
            recipe.notes.append(
                "mediseg changes nothing about grey values: in 2D the published code does what the paper says"
            )
    else:
        transforms = [RangeNoise(0.1), _gamma(BGContrast((0.5, 2)))]
    p = 1.0 if mediseg and len(recipe.patch.size) == 3 else 0.5
    recipe.intensity += [RandomTransform(transform, p) for transform in transforms]


def _gamma(exponent: tuple[float, float] | BGContrast) -> GammaTransform:
    return GammaTransform(exponent, p_invert_image=0, synchronize_channels=True, p_per_channel=1, p_retain_stats=0)


class nnUNetTrainerGTAugA(AugmentationTrainer):
    """nnU-Net that changes grey values as the trick paper does, and augments in no other way."""

    def augment(self, recipe: Recipe) -> None:
        """Append the changes of grey values of GTAug-A."""
        change_grey_values(recipe, mediseg=self.parameters["GTAugA"].mediseg)
        super().augment(recipe)
