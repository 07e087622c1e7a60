"""Patches of synthetic pairs in place of those of training cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from torch import Tensor


class SyntheticPatches(BasicTransform):
    """Replaces image and mask of a patch by a patch of a synthetic pair, drawn as nnU-Net draws from a case."""

    def __init__(self, loader: Any, pairs: Any, *, p: float, ignore: int | None) -> None:
        """Set up the transform.

        Args:
            loader: nnU-Net's loader, for its rules of drawing.
            pairs: nnU-Net's data set of synthetic pairs.
            p: Probability that a patch is replaced.
            ignore: Label of voxels that nobody annotated, if there is one.
        """
        super().__init__()
        self.loader, self.pairs, self.p, self.ignore = loader, pairs, p, ignore

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace a patch.

        Args:
            data_dict: Sample with image (C, *spatial) and segmentation (channels, *spatial), labels first.
        """
        # Without random numbers, so that p 0 is the training without the trick bit for bit.
        if not self.p or np.random.uniform() >= self.p:
            return data_dict
        image, labels = self.draw()
        channels = len(data_dict["image"]) - len(image)
        # Other tricks may have put a channel behind the image, such as weights less 1; a synthetic voxel weighs 1.
        image = torch.cat([image, image.new_zeros((channels, *image.shape[1:]))])
        levels = [labels]
        if len(data_dict["segmentation"]) > 1:
            # The first stage of a cascade would have found the objects, and knows no ignore label.
            levels.append(labels if self.ignore is None else torch.where(labels == self.ignore, 0, labels))
        return {**data_dict, "image": image, "segmentation": torch.cat(levels)}

    def draw(self) -> tuple[Tensor, Tensor]:
        """Image (C, *spatial) and label map (1, *spatial) of a random patch of a random pair."""
        name = self.pairs.identifiers[np.random.randint(len(self.pairs.identifiers))]
        image, labels, _, properties = self.pairs.load_case(name)
        centred = bool(np.random.uniform() < self.loader.oversample_foreground_percent)
        # Tricks of sampling replace the rule of the loader by one that knows training cases only.
        low, high = type(self.loader).get_bbox(self.loader, image.shape[1:], centred, properties["class_locations"])
        box = [[int(first), int(stop)] for first, stop in zip(low, high, strict=True)]
        voxels = torch.from_numpy(crop_and_pad_nd(image, box, 0)).float()
        mask = torch.from_numpy(crop_and_pad_nd(labels, box, -1)).to(torch.int16)
        return (voxels[:, 0], mask[:, 0]) if self.loader.patch_size_was_2d else (voxels, mask)
