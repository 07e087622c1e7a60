"""The trainer that tricks with another augmentation build on."""

from __future__ import annotations

from typing import Any

from nnunet_tricks.training import voxel_sizes
from nnunet_tricks.training.trainer import MakeTransforms, TrickTrainer
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.recipe import InPlaceOfNnunets, Recipe

_ONE_SCALE = {"NoNormalization", "RGBTo01Normalization"}
"""Normalisations of nnU-Net that do the same to all channels."""
_COLOURS = (("r", "g", "b"), ("red", "green", "blue"), ("rgb_to_0_1",) * 3)


class AugmentationTrainer(TrickTrainer):
    """A trainer whose tricks write the recipe of its augmentation, in place of nnU-Net's.

    Attributes:
        recipe: Steps of the augmentation; set when nnU-Net asks for the size of the patches to load.
    """

    recipe: Recipe

    def augment(self, recipe: Recipe) -> None:
        """Add the trick's steps, then call ``super().augment``: several tricks of one name add to one recipe."""

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802, nnU-Net's name
        self,
    ) -> tuple[Any, bool, list[int], Any]:
        """nnU-Net's settings, with the recipe's size to load and its axes to mirror, in training and at inference."""
        rotation, by_slices, _, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.recipe = Recipe(self._patch(by_slices))
        self.augment(self.recipe)
        mirror = self.recipe.mirror or None
        self.inference_allowed_mirroring_axes = mirror
        for line in self._description():
            self.print_to_log_file(line, add_timestamp=False)
        return rotation, by_slices, list(self.recipe.loaded_size), mirror

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """The recipe's transforms in place of nnU-Net's augmentation; those of other tricks come after them."""
        return super().training_transforms(InPlaceOfNnunets(make, lambda: self.recipe))

    def _patch(self, by_slices: bool) -> Patch:
        # Before nnU-Net 2.0, channels were called modalities.
        channels = self.dataset_json.get("channel_names") or self.dataset_json.get("modality") or {}
        names = tuple(str(channels[number]).casefold() for number in sorted(channels, key=int))
        return Patch(
            size=self.training_patch_size,
            spacing=tuple(float(edge) for edge in self.configuration_manager.spacing),
            by_slices=by_slices,
            colour=names in _COLOURS,
            together=set(self.configuration_manager.normalization_schemes) <= _ONE_SCALE,
            resampled=voxel_sizes.as_planned(self.configuration_manager),
        )

    def _description(self) -> list[str]:
        loaded = "x".join(map(str, self.recipe.loaded_size))
        axes = ", ".join(map(str, self.recipe.mirror)) or "none"
        return [
            f"augmentation in place of nnU-Net's, reading {loaded} voxels; axes mirrored, also at inference: {axes}",
            *self.recipe.notes,
        ]
