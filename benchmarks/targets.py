"""Time of a map of a 128^3 patch for one foreground class, compared with nnU-Net's own augmentation of that patch.

python -m benchmarks.targets [--rounds 20] [--out benchmarks/results/targets.json]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from benchmarks.measuring import paired, save
from nnunet_tricks.tricks.targets.border import border_weights
from nnunet_tricks.tricks.targets.closeness import closeness
from nnunet_tricks.tricks.targets.distance import distance_to_the_other_side, signed_distance
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import map_of_annotated
from nnunet_tricks.tricks.targets.skeleton import tubed_skeleton

SIZE = (128, 128, 128)
SPACING = (2.0, 0.8, 0.8)
BASELINE = "nnU-Net's augmentation"
MOST = {"signed distance": 1.0, "distance to the other side": 1.0}
DRAWS = 16
"""Patches per round. Most of nnU-Net's transforms apply to a part of the patches only, so their mean counts."""


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kinds = balls()
    mask = kinds > 0
    functions: dict[str, Callable[[], object]] = {
        BASELINE: partial(repeat, augmentation(mask)),
        "signed distance": partial(repeat, partial(signed_distance, mask, SPACING)),
        "distance to the other side": partial(repeat, partial(distance_to_the_other_side, mask, SPACING, power=2)),
        "closeness to a border": partial(repeat, partial(closeness, mask, SPACING)),
        "border weights of two objects": partial(repeat, partial(border_weights, kinds, SPACING, border=10, sigma=5)),
        "numbers of objects": partial(repeat, partial(objects, kinds, SPACING)),
        "widened skeleton": partial(repeat, partial(tubed_skeleton, mask, SPACING)),
        "signed distance, every fifth slice annotated": partial(repeat, of_slices(mask, turned=False)),
        "signed distance, the same slices turned": partial(repeat, of_slices(mask, turned=True)),
        "scipy's transform, inside and outside": partial(repeat, partial(scipys, mask)),
    }
    timed = paired(functions, baseline=BASELINE, rounds=arguments.rounds, clock=process_time)
    print(f"{DRAWS} patches of {'x'.join(map(str, SIZE))}")
    print(f"{'':46} {'ms':>7} {'ratio':>6} {'quartiles':>13} {'at most':>8}")
    for name, row in timed.items():
        bound = f"{MOST[name]:.2f}" if name in MOST else ""
        quartiles = f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}"
        print(f"{name:46} {row['milliseconds']:7.1f} {row['ratio']:6.2f} {quartiles:>13} {bound:>8}")
    if arguments.out:
        save(arguments.out, {"size": SIZE, "patches": DRAWS, "spacing": SPACING, "results": timed})


def repeat(function: Callable[[], object]) -> None:
    """Call a function once for each patch of a round."""
    for _ in range(DRAWS):
        function()


def balls() -> NDArray[np.int16]:
    """Labels of a large ball (1) and a small ball (2) that touch."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SIZE), indexing="ij")
    large, small = z**2 + y**2 + x**2 < 0.3, (z - 0.5) ** 2 + (y + 0.5) ** 2 + x**2 < 0.05
    return np.where(large, 1, np.where(small, 2, 0)).astype(np.int16)


def of_slices(mask: NDArray[np.bool_], *, turned: bool) -> partial[NDArray[np.float32]]:
    """A function for the signed distance with every fifth slice annotated; slices may be turned by 20 degrees."""
    z, y, _ = np.indices(mask.shape)
    angle = np.deg2rad(20) if turned else 0
    annotated = np.abs((z * np.cos(angle) + y * np.sin(angle)) % 5 - 2) < 0.5
    return partial(map_of_annotated, signed_distance, mask, SPACING, annotated)


def augmentation(mask: NDArray[np.bool_]) -> partial[dict[str, torch.Tensor]]:
    """nnU-Net's training transforms for one channel, at its own probabilities and with random draws."""
    transforms = nnUNetTrainer.get_training_transforms(
        np.array(SIZE),
        (-0.5, 0.5),
        [[1, 1, 1], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]],
        (0, 1, 2),
        False,
        use_mask_for_norm=[False],
        foreground_labels=[1],
    )
    labels = torch.from_numpy(mask[None].astype(np.int16))
    return partial(transforms, image=torch.randn(1, *SIZE), segmentation=labels)


def scipys(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Signed distance without SimpleITK."""
    outside: NDArray[np.float64] = distance_transform_edt(~mask, sampling=SPACING)
    return outside - distance_transform_edt(mask, sampling=SPACING)


if __name__ == "__main__":
    main()
