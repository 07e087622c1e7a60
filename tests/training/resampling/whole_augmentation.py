"""nnU-Net's whole augmentation beside ours; as a program, too, with another batchgeneratorsv2 first on the path."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.nnunet import patches
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.resampling.exact_augmentation import WithExactLabels
from nnunet_tricks.training.resampling.fingerprint import reproduced

KINDS = ("2D", "3D", "slice by slice", "regions", "cascade")
SEEDS = 12


def compared(kind: str, seeds: int = SEEDS) -> set[str]:
    """Compare patches of some seeds, and what is drawn after each.

    Returns:
        The classes of our transforms that took part.

    Raises:
        ValueError: If a patch differs.
    """
    by_slices = kind == "slice by slice"
    size = (24, 20) if kind == "2D" else (4, 18, 16) if by_slices else (12, 14, 10)
    read = tuple(side + (0 if by_slices and axis == 0 else 6) for axis, side in enumerate(size))
    settings: dict[str, Any] = {
        "use_mask_for_norm": [False, True],
        "foreground_labels": [1, 2, 3],
        "is_cascaded": kind == "cascade",
        "regions": [(1, 2, 3), (2, 3), 3] if kind == "regions" else None,
        "ignore_label": 4 if kind == "regions" else None,
    }
    scales = [[1 / 2**level] * len(size) for level in range(3)]
    arguments = (size, (-0.5, 0.5), scales, tuple(range(len(size))), by_slices)
    theirs = nnUNetTrainer.get_training_transforms(*arguments, **settings)
    ours = WithExactLabels(nnUNetTrainer.get_training_transforms, print)(*arguments, **settings)
    generator = torch.Generator().manual_seed(0)
    for seed in range(seeds):
        image = torch.randn(2, *read, generator=generator)
        channels = 2 if kind == "cascade" else 1
        labels = torch.randint(-1, 5 if kind == "regions" else 4, (channels, *read), generator=generator)
        mine, expected = (outcome(part, image, labels.to(torch.int16), seed) for part in (ours, theirs))
        for number, (part, other) in enumerate(zip(mine, expected, strict=True)):
            if part.dtype != other.dtype or not torch.equal(part, other):
                raise ValueError(f"{kind}, seed {seed}: part {number} differs")
    return {type(getattr(part, "transform", part)).__name__ for part in ours.transforms}


def outcome(transforms: BasicTransform, image: Tensor, labels: Tensor, seed: int) -> list[Tensor]:
    """The image, the label maps, and the random numbers that come next."""
    seed_everything(seed)
    done = transforms(image=image.clone(), segmentation=labels.clone())
    return [done["image"], *done["segmentation"], torch.tensor([np.random.rand(), torch.rand(1).item()])]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with patches.unmeasured_blur():
        for kind in KINDS:
            print(version("batchgeneratorsv2"), reproduced().__name__, kind, *sorted(compared(kind)))
