"""Padding around an image is unknown, not background.

Where a patch sticks out of its image, or would after it is turned or shrunk, nnU-Net pads labels with -1. Later it
makes background of the padding. With few annotated slices most voxels that the loss counts would be such padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform

from nnunet_tricks.training.trainer import MakeTransforms
from nnunet_tricks.tricks.sparse.cases import OUTSIDE, OUTSIDE_UNKNOWN, PADDING


class IgnorePadding(RemoveLabelTransform):
    """Stands for nnU-Net's transform that makes background of everything negative; padding gets the ignore label."""

    def __init__(self, ignore: int) -> None:
        """Set the label of voxels that do not count."""
        super().__init__(PADDING, ignore)

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **_: Any) -> torch.Tensor:
        labels = segmentation[0]
        negative = labels < 0
        if negative.any():
            labels[(labels == PADDING) | (labels == OUTSIDE_UNKNOWN)] = self.set_to
            labels[labels == OUTSIDE] = 0
        # The prediction of a cascade's first stage is known everywhere.
        segmentation[1:][segmentation[1:] == PADDING] = 0
        return segmentation


class WithIgnoredPadding:
    """Stands for nnU-Net's ``get_training_transforms``."""

    def __init__(self, original: MakeTransforms, ignore: int) -> None:
        """Stand for a function.

        Args:
            original: nnU-Net's ``get_training_transforms``.
            ignore: Label that padding gets.
        """
        self.original: Callable[..., ComposeTransforms] = original
        self.ignore = ignore

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """nnU-Net's transforms, with padding that is ignored.

        Raises:
            RuntimeError: If nnU-Net's own transform of padding is not found, as in a version that came later.
        """
        transforms = list(self.original(*args, **kwargs).transforms)
        places = [at for at, transform in enumerate(transforms) if isinstance(transform, RemoveLabelTransform)]
        if len(places) != 1:
            raise RuntimeError("this version of nnU-Net treats padding in a way that nnunet_tricks does not know yet")
        transforms[places[0]] = IgnorePadding(self.ignore)
        return ComposeTransforms(transforms)
