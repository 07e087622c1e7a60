"""What lies around an image is unknown.

Where a patch sticks out of its image, or is turned or shrunk so that it would, nnU-Net pads labels with -1 and makes
background of it. With few annotated slices most of what the loss counts would then be such padding.
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
    """In place of nnU-Net's transform that makes background of everything negative."""

    def __init__(self, ignore: int) -> None:
        """Take the label of voxels that do not count."""
        super().__init__(PADDING, ignore)

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **_: Any) -> torch.Tensor:
        labels = segmentation[0]
        negative = labels < 0
        if negative.any():
            labels[(labels == PADDING) | (labels == OUTSIDE_UNKNOWN)] = self.set_to
            labels[labels == OUTSIDE] = 0
        # What the first stage of a cascade predicts is known everywhere.
        segmentation[1:][segmentation[1:] == PADDING] = 0
        return segmentation


class WithIgnoredPadding:
    """Stands for nnU-Net's ``get_training_transforms``."""

    def __init__(self, original: MakeTransforms, ignore: int) -> None:
        """Take both."""
        self.original: Callable[..., ComposeTransforms] = original
        self.ignore = ignore

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """nnU-Net's transforms, with padding that is ignored.

        Raises:
            RuntimeError: If nnU-Net has changed so much that its own transform is not found.
        """
        transforms = list(self.original(*args, **kwargs).transforms)
        ours = [at for at, one in enumerate(transforms) if isinstance(one, RemoveLabelTransform)]
        if len(ours) != 1:
            raise RuntimeError("this version of nnU-Net treats padding in a way that nnunet_tricks does not know yet")
        transforms[ours[0]] = IgnorePadding(self.ignore)
        return ComposeTransforms(transforms)
