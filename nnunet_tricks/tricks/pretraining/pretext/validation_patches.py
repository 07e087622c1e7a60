"""Patches of an image on which a finished pretext training is measured, the same for every trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from torch import Tensor

PATCHES = 4
"""Patches of each image: few, as all images of a fold are measured."""


def of_case(data: Any, patch_size: Sequence[int], seed: int) -> Tensor:
    """Patches of an image.

    Args:
        data: (C, z, y, x), an array or a file of one that is read in parts.
        patch_size: Sides of a patch; two for slices.
        seed: Seed of their places.

    Returns:
        (patches, C, *patch_size); beyond the image they are 0, as in training.
    """
    places = np.random.default_rng(seed)
    flat = len(patch_size) < len(data.shape) - 1
    sides = [1, *patch_size] if flat else list(patch_size)
    patches = []
    for _ in range(PATCHES):
        begins = [
            int(places.integers(0, n - side, endpoint=True)) if n > side else (n - side) // 2
            for n, side in zip(data.shape[1:], sides, strict=True)
        ]
        box = [[begin, begin + side] for begin, side in zip(begins, sides, strict=True)]
        patch = torch.from_numpy(np.asarray(crop_and_pad_nd(data, box, 0), dtype=np.float32))
        patches.append(patch[:, 0] if flat else patch)
    return torch.stack(patches)
