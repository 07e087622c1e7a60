"""nnU-Net's augmentation with the same patches in less time, in all our trainers.

``nnunet_tricks_exact_augmentation=off`` in the environment leaves everything to batchgeneratorsv2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform

from nnunet_tricks.training.resampling.exact_blur import ExactBlurTransform
from nnunet_tricks.training.resampling.exact_levels import ExactLevelsTransform
from nnunet_tricks.training.resampling.exact_regions import ExactRegionsTransform
from nnunet_tricks.training.resampling.exact_removal import ExactRemovalTransform
from nnunet_tricks.training.resampling.fingerprint import reproduced
from nnunet_tricks.training.resampling.swap import with_replaced

VARIABLE = "nnunet_tricks_exact_augmentation"
ON = ("", "on", "true", "t", "1")
OFF = ("off", "false", "f", "0")


def is_on() -> bool:
    """Whether the environment leaves it on.

    Raises:
        ValueError: If the variable holds what is neither.
    """
    held = os.environ.get(VARIABLE, "").strip().casefold()
    if held not in (*ON, *OFF):
        raise ValueError(f"{VARIABLE} must be on or off, got {held}")
    return held in ON


class WithExactLabels:
    """Stands for nnU-Net's ``get_training_transforms``; label maps are sampled by ours where the result is the same."""

    def __init__(self, original: Callable[..., BasicTransform], log: Callable[[str], object]) -> None:
        """Take both.

        Args:
            original: Makes the transforms as they are without it.
            log: Told when batchgeneratorsv2 samples label maps itself, and why.
        """
        self.original = original
        self.log = log

    def __call__(self, *args: Any, **kwargs: Any) -> BasicTransform:
        """The transforms, with ours in place of batchgeneratorsv2's."""
        transforms = self.original(*args, **kwargs)
        if not is_on():
            self.log(f"{VARIABLE}=off: batchgeneratorsv2 augments label maps itself")
            return transforms
        kind = reproduced()
        if kind is None:
            self.log(
                "WARNING: batchgeneratorsv2 augments label maps itself: nnunet_tricks does not know release "
                f"{version('batchgeneratorsv2')}, or this processor rounds in a way of its own"
            )
            return transforms
        ours: dict[type[BasicTransform], Callable[[Any], BasicTransform | None]] = {
            SpatialTransform: kind.in_place_of,
            GaussianBlurTransform: ExactBlurTransform.in_place_of,
            RemoveLabelTransform: ExactRemovalTransform.in_place_of,
            DownsampleSegForDSTransform: ExactLevelsTransform.in_place_of,
            ConvertSegmentationToRegionsTransform: ExactRegionsTransform.in_place_of,
        }
        return with_replaced(transforms, ours)
