"""Augmentation of slices with neighbours: what happens to a slice happens to its neighbours."""

from __future__ import annotations

import random
from copy import copy
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

from nnunet_tricks.training.trainer import MakeTransforms


class EachSlice(BasicTransform):
    """A transform for each slice of an image with neighbours, with the same random numbers for all of them.

    The middle slice, its truth and what is drawn afterwards are bit for bit as without neighbours.

    Attributes:
        transform: Transform of an image without neighbours.
        slices: Number of neighbours on each side.
        needs_truth: Whether the transform may look at the truth when it transforms the image.
    """

    def __init__(self, transform: BasicTransform, slices: int, *, needs_truth: bool = True) -> None:
        """Wrap a transform."""
        super().__init__()
        self.transform = transform
        self.slices = slices
        self.needs_truth = needs_truth

    def __call__(self, **sample: Any) -> dict[str, Any]:
        """Transform all slices.

        Args:
            sample: With the image ((2 * slices + 1) * C, Y, X), and the truth of the middle slice.
        """
        images = [image.clone() for image in sample["image"].chunk(2 * self.slices + 1)]
        truth = sample.get("segmentation")
        spare = {} if truth is None or not self.needs_truth else {"segmentation": truth.clone()}
        start = _random_state()
        done: dict[str, Any] = self.transform(**{**sample, "image": images[self.slices]})
        end = _random_state()
        for number, image in enumerate(images):
            if number != self.slices:
                _draw_from(start)
                others = {name: tensor.clone() for name, tensor in spare.items()}
                images[number] = self.transform(image=image, **others)["image"]
        _draw_from(end)
        images[self.slices] = done["image"]
        done["image"] = torch.cat(images)
        return done


class ForEachSlice:
    """Stands for ``get_training_transforms``; its augmentation treats a slice and its neighbours alike."""

    def __init__(self, original: MakeTransforms, slices: int) -> None:
        """Stand for a function.

        Args:
            original: Function that makes transforms for images without neighbours.
            slices: Number of neighbours on each side.
        """
        self.original = original
        self.slices = slices

    def __call__(self, *arguments: Any, **settings: Any) -> ComposeTransforms:
        """The transforms up to nnU-Net's mask or label change for each slice, and the others as they are."""
        parts = list(self.original(*arguments, **settings).transforms)
        after = (MaskImageTransform, RemoveLabelTansform)
        end = next((at for at, part in enumerate(parts) if isinstance(part, after)), len(parts))
        channels = len(settings.get("use_mask_for_norm") or ())
        rest = [self._for_all(part, channels) if isinstance(part, MaskImageTransform) else part for part in parts[end:]]
        # None of nnU-Net's own transforms looks at the truth of an image, and resampling it takes longest.
        others = not all(map(_is_nnunets, parts[:end]))
        # Together, as sums depend on how a tensor lies in memory between two of them.
        augmentation = EachSlice(ComposeTransforms(parts[:end]), self.slices, needs_truth=others)
        return ComposeTransforms([augmentation, *rest] if end else rest)

    def _for_all(self, mask: MaskImageTransform, channels: int) -> MaskImageTransform:
        """The mask of the middle slice for its neighbours too, whose own mask is not at hand."""
        wider = copy(mask)
        slices = range(2 * self.slices + 1)
        wider.apply_to_channels = [
            channels * number + channel for number in slices for channel in mask.apply_to_channels
        ]
        return wider


def _is_nnunets(transform: BasicTransform) -> bool:
    inner = getattr(transform, "transform", transform)
    return all(type(part).__module__.startswith("batchgeneratorsv2.") for part in (transform, inner))


def _random_state() -> tuple[Any, Any, torch.Tensor]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _draw_from(state: tuple[Any, Any, torch.Tensor]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
