"""Our sets of augmentation against nnU-Net's default, from the patch that was read to the one that is trained on.

python -m benchmarks.augmentation [--draws 200] [--out benchmarks/results/augmentation.json]

Each draw goes through all sets one after the other; the ratio of samples per second is that of the summed times, since
most transforms are drawn for a part of the patches only. Its interval is a bootstrap over draws. Memory is the resident
size of a process that does nothing else, at its highest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from benchmarks.measuring import save
from nnunet_tricks.tricks.augmentation.gt_aug_a import change_grey_values
from nnunet_tricks.tricks.augmentation.gt_aug_b import move_objects
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.recipe import InPlaceOfNnunets, Recipe

BASELINE = "nnU-Net"
PATCHES = {
    "2D 512x512x3": Patch((512, 512), (1, 1), by_slices=False, colour=True),
    "3D 128x128x128x1": Patch((128, 128, 128), (1, 1, 1), by_slices=False, colour=False),
}
SETS = {
    "GTAugA": (change_grey_values,),
    "GTAugB": (move_objects,),
    "GTAugAB": (move_objects, change_grey_values),
}
AT_LEAST = {
    "2D 512x512x3": {"GTAugA": 0.6, "GTAugB": 1.0, "GTAugAB": 0.6},
    "3D 128x128x128x1": {"GTAugA": 3.0, "GTAugB": 3.0, "GTAugAB": 3.0},
}
MOST_MEMORY = 1.1
WARM_UP = 3


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        print(peak_memory(*arguments.memory_of))
        return
    results = {}
    for name, patch in PATCHES.items():
        rows = results[name] = measured(patch, arguments.draws)
        for what, row in rows.items():
            row["megabytes"] = memory_of(name, what)
        print(f"{name}, {arguments.draws} draws")
        print(f"{'':12} {'ms':>8} {'samples per s':>14} {'95 %':>11} {'at least':>9} {'memory':>7} {'at most':>8}")
        for what, row in rows.items():
            row["memory_ratio"] = row["megabytes"] / rows[BASELINE]["megabytes"]
            least = f"{AT_LEAST[name][what]:.1f}x" if what in AT_LEAST[name] else ""
            most = f"{MOST_MEMORY:.1f}x" if least else ""
            between = f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}"
            print(
                f"{what:12} {row['milliseconds']:8.1f} {row['ratio']:13.2f}x {between:>11} {least:>9} "
                f"{row['memory_ratio']:6.2f}x {most:>8}"
            )
    if arguments.out:
        save(arguments.out, {"draws": arguments.draws, "results": results})


def measured(patch: Patch, draws: int) -> dict[str, dict[str, float]]:
    """Milliseconds, and samples per second as a ratio to nnU-Net's, by set."""
    ready = {name: (transforms, *example(patch, size)) for name, (transforms, size) in pipelines(patch).items()}
    times: dict[str, list[float]] = {name: [] for name in ready}
    for number in range(-WARM_UP, draws):
        for name, (transforms, image, labels) in ready.items():
            np.random.seed(number + WARM_UP)
            torch.manual_seed(number + WARM_UP)
            start = process_time()
            # The copy stands for cutting the patch out of the image, which costs more where more is read.
            transforms(image=image.clone(), segmentation=labels.clone())
            if number >= 0:
                times[name].append(process_time() - start)
    picks = np.random.default_rng(0).integers(draws, size=(2000, draws))
    base = np.array(times[BASELINE])
    result = {}
    for name, taken in times.items():
        mine = np.array(taken)
        low, high = np.percentile(base[picks].sum(1) / mine[picks].sum(1), [2.5, 97.5])
        result[name] = {
            "milliseconds": 1000 * float(mine.mean()),
            "ratio": float(base.sum() / mine.sum()),
            "ratio_low": float(low),
            "ratio_high": float(high),
        }
    return result


def pipelines(patch: Patch) -> dict[str, tuple[BasicTransform, tuple[int, ...]]]:
    """Transforms, deep supervision included, and the size that they read."""
    # As nnU-Net configures patches of equal sides.
    most = np.pi if len(patch.size) == 2 else np.pi / 6
    read = get_patch_size(patch.size, *[(-most, most)] * 3, (0.85, 1.25))

    def nnunets() -> ComposeTransforms:
        axes, colours = tuple(range(len(patch.size))), 3 if patch.colour else 1
        scales = [[1 / 2**level] * len(patch.size) for level in range(4)]
        return nnUNetTrainer.get_training_transforms(
            patch.size, (-most, most), scales, axes, False, use_mask_for_norm=[False] * colours, foreground_labels=[1]
        )

    made: dict[str, tuple[BasicTransform, tuple[int, ...]]] = {BASELINE: (nnunets(), tuple(map(int, read)))}
    for name, parts in SETS.items():
        recipe = Recipe(patch)
        for part in parts:
            part(recipe)
        made[name] = (InPlaceOfNnunets(nnunets, partial(_same, recipe))(), recipe.loaded_size)
    return made


def _same(recipe: Recipe) -> Recipe:
    return recipe


def example(patch: Patch, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Smooth waves with noise, and a ball as the truth."""
    grid = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in size), indexing="ij")
    radius = torch.stack(grid).square().sum(0)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3 if patch.colour else 1, *size, generator=generator)
    return torch.sin(9 * radius) + 0.1 * noise, (radius < 0.3).to(torch.int16)[None]


def peak_memory(patch: str, name: str) -> float:
    """Megabytes that this process held at most."""
    transforms, size = pipelines(PATCHES[patch])[name]
    image, labels = example(PATCHES[patch], size)
    for number in range(12):
        np.random.seed(number)
        torch.manual_seed(number)
        transforms(image=image.clone(), segmentation=labels.clone())
    # Not the maximum of getrusage, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def memory_of(patch: str, name: str) -> float:
    """``peak_memory`` of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.augmentation", "--memory-of", patch, name]
    return float(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


if __name__ == "__main__":
    main()
