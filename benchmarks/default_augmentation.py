"""nnU-Net's default training augmentation: nnU-Net's own, ours to the last bit, and FastDA.

python -m benchmarks.default_augmentation [--draws 100] [--only "3D 128 104 labels"]
    [--out benchmarks/results/default_augmentation.json]

Each draw goes through all three from the same seed; the ratio of samples per second is that of the summed CPU times of
one process with one thread, as most transforms are drawn for a part of the patches only. Its interval is a bootstrap
over draws. nnU-Net's blur times two ways to compute it before it blurs for the first time; a training of many thousand
patches does not notice this, so it is done before. Memory is the resident size of a process that does nothing else, at
its highest. The label sampler alone turns and scales the same map for the same grids; the floor is one gather over the
patch. With --only, results of other situations stay in the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.measuring import save
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.resampling.exact_augmentation import WithExactLabels
from nnunet_tricks.training.resampling.fingerprint import reproduced
from nnunet_tricks.tricks.augmentation.fast_da import fast

STOCK, EXACT, FAST = "nnU-Net", "exact", "FastDA"
ALONE = "label sampler alone"
WARM_UP = 3
SAMPLER_DRAWS = 10
SIGMAS = (0.5, 0.75, 1.0)
"""One for each number of weights of a kernel."""


@dataclass(frozen=True)
class Situation:
    """Patches of a configuration.

    Attributes:
        patch: In voxels.
        labels: Number of foreground labels; there is background, too.
        channels: Of the image.
        at_least: Samples per second that are aimed at, as a ratio to nnU-Net's.
        sampler: The same for the label sampler alone; 0 where it is not measured alone.
    """

    patch: tuple[int, ...]
    labels: int
    channels: int
    at_least: dict[str, float]
    sampler: float = 0

    @property
    def by_slices(self) -> bool:
        """Whether nnU-Net warps the slices of the first axis alike."""
        return len(self.patch) == 3 and max(self.patch) / self.patch[0] > 3

    @property
    def angle(self) -> float:
        """The largest angle, as nnU-Net configures patches of equal sides."""
        return float(np.pi) if len(self.patch) == 2 or self.by_slices else float(np.pi) / 6

    @property
    def read(self) -> tuple[int, ...]:
        """Size of the patch before it is transformed."""
        plane = self.patch[1:] if self.by_slices else self.patch
        sides = get_patch_size(plane, *[(-self.angle, self.angle)] * 3, (0.85, 1.25))
        return (*self.patch[:1] * self.by_slices, *map(int, sides))


SITUATIONS = {
    "3D 128 2 labels": Situation((128, 128, 128), 2, 1, {EXACT: 1.6, FAST: 2.0}, sampler=3),
    "3D 128 30 labels": Situation((128, 128, 128), 30, 1, {EXACT: 6, FAST: 7}, sampler=13),
    "3D 128 104 labels": Situation((128, 128, 128), 104, 1, {EXACT: 16, FAST: 18}, sampler=35),
    "3D 40x256x256 14 labels": Situation((40, 256, 256), 14, 1, {EXACT: 3, FAST: 3}),
    "2D 512x512x3 1 label": Situation((512, 512), 1, 3, {EXACT: 1.0, FAST: 1.5}),
    "2D 512x512x3 20 labels": Situation((512, 512), 20, 3, {EXACT: 3, FAST: 3}),
}


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--only", choices=list(SITUATIONS), action="append")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        print(peak_memory(*arguments.memory_of))
        return
    for name in arguments.only or SITUATIONS:
        situation = SITUATIONS[name]
        rows = measured(situation, arguments.draws)
        for arm, row in rows.items():
            row["megabytes"] = memory_of(name, arm)
            row["at_least"] = situation.at_least.get(arm, 0)
            row["draws"] = arguments.draws
        if situation.sampler:
            rows[ALONE] = sampler_alone(situation)
        show(name, arguments.draws, rows)
        if arguments.out:
            before = json.loads(arguments.out.read_text())["results"] if arguments.out.exists() else {}
            order = {key: (before | {name: rows})[key] for key in SITUATIONS if key in before | {name: rows}}
            save(arguments.out, {"results": order})


def show(name: str, draws: int, rows: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    print(f"{name}, {draws} draws")
    for arm, row in rows.items():
        between = f"{row.get('ratio_low', 0):.2f}-{row.get('ratio_high', 0):.2f}"
        memory = f"{row.get('megabytes', 0):8.0f} MB"
        print(
            f"  {arm:20} {row['milliseconds']:9.1f} ms {row['ratio']:7.2f}x {between:>13} of {row['at_least']} {memory}"
        )
    sys.stdout.flush()


def page(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """The tables of docs/waiting.md."""
    lines = [
        "| patch, labels beside background | nnU-Net | ours, bit for bit | `FastDA` | draws | MB of a process |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    alone = [
        "| patch, labels beside background | nnU-Net | ours | | the floor |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rows in results.items():
        cells = [f"{rows[STOCK]['milliseconds']:.0f} ms"]
        cells += [f"{rows[arm]['milliseconds']:.0f} ms, {rows[arm]['ratio']:.1f}x" for arm in (EXACT, FAST)]
        held = [rows[arm].get("megabytes") for arm in (STOCK, EXACT, FAST)]
        memory = "not measured" if None in held else " / ".join(f"{count:.0f}" for count in held)
        lines.append(f"| {name} | {' | '.join(cells)} | {rows[STOCK]['draws']} | {memory} |")
        row = rows.get(ALONE)
        if row:
            times = [f"{row[key]:.0f} ms" for key in ("stock_milliseconds", "milliseconds")]
            floor = f"{row['floor_milliseconds']:.0f} ms"
            alone.append(f"| {name} | {' | '.join(times)} | {row['ratio']:.1f}x | {floor} |")
    return "\n".join([*lines, "", "The label map alone, when it is turned and scaled:", "", *alone])


def transforms_of(situation: Situation, arm: str) -> BasicTransform:
    """nnU-Net's default augmentation, deep supervision included, and ours in its place."""
    dimensions = len(situation.patch)
    make = nnUNetTrainer.get_training_transforms
    if arm != STOCK:
        make = WithExactLabels(make, print)
    made: BasicTransform = make(
        situation.patch,
        (-situation.angle, situation.angle),
        [[1 / 2**level] * dimensions for level in range(4)],
        tuple(range(dimensions)),
        situation.by_slices,
        use_mask_for_norm=[False] * situation.channels,
        foreground_labels=list(range(1, situation.labels + 1)),
    )
    return fast(made) if arm == FAST else made


def example(situation: Situation) -> tuple[Tensor, Tensor]:
    """Smooth waves with noise; an ellipsoid through the faces of the patch, cut into as many parts as labels."""
    size = situation.read
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij"), -1)
    radius = np.square(places).sum(-1)
    random = np.random.default_rng(0)
    seeds = random.uniform(-0.7, 0.7, (situation.labels, len(size)))
    parts = 1 + cKDTree(seeds).query(places.reshape(-1, len(size)))[1].reshape(size)
    labels = torch.from_numpy(np.where(radius < 0.8, parts, 0).astype(np.int16))[None]
    noise = torch.randn(situation.channels, *size, generator=torch.Generator().manual_seed(0))
    return torch.sin(9 * torch.from_numpy(radius).float()) + 0.1 * noise, labels


def measured(situation: Situation, draws: int) -> dict[str, dict[str, float]]:
    """Milliseconds, and samples per second as a ratio to nnU-Net's, by arm."""
    image, labels = example(situation)
    ready = {arm: transforms_of(situation, arm) for arm in (STOCK, EXACT, FAST)}
    times: dict[str, list[float]] = {arm: [] for arm in ready}
    for transforms in ready.values():
        begin_to_blur(situation, transforms)
    for number in range(-WARM_UP, draws):
        for arm, transforms in ready.items():
            seed_everything(number + WARM_UP)
            start = process_time()
            # The copy stands for cutting the patch out of the image.
            transforms(image=image.clone(), segmentation=labels.clone())
            if number >= 0:
                times[arm].append(process_time() - start)
    picks = np.random.default_rng(0).integers(draws, size=(2000, draws))
    base = np.array(times[STOCK])
    result = {}
    for arm, taken in times.items():
        mine = np.array(taken)
        low, high = np.percentile(base[picks].sum(1) / mine[picks].sum(1), [2.5, 97.5])
        result[arm] = {
            "milliseconds": 1000 * float(mine.mean()),
            "ratio": float(base.sum() / mine.sum()),
            "ratio_low": float(low),
            "ratio_high": float(high),
        }
    return result


def begin_to_blur(situation: Situation, transforms: BasicTransform) -> None:
    """Blur once with each kernel that nnU-Net can draw."""
    (blur,) = (
        part.transform
        for part in transforms.transforms
        if isinstance(part, RandomTransform) and isinstance(part.transform, GaussianBlurTransform)
    )
    for sigma in SIGMAS:
        sigmas = [[sigma] * len(situation.patch)]
        blur._apply_to_image(torch.randn(1, *situation.patch), apply_to_channel=torch.tensor([True]), sigmas=sigmas)


def sampler_alone(situation: Situation) -> dict[str, float]:
    """Median milliseconds to turn and scale a label map, and of the floor: one gather over the patch."""
    _, labels = example(situation)
    kind = reproduced()
    assert kind is not None
    stock = SpatialTransform(
        situation.patch,
        0,
        random_crop=False,
        p_rotation=1,
        rotation=(-situation.angle, situation.angle),
        p_scaling=1,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        bg_style_seg_sampling=False,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
    ours = kind.in_place_of(stock)
    assert ours is not None
    index = torch.arange(int(np.prod(situation.patch)), dtype=torch.int32) * 3
    voxels = labels.to(torch.uint8).flatten()
    times: dict[str, list[float]] = {"stock": [], "ours": [], "floor": []}
    for number in range(-1, SAMPLER_DRAWS):
        seed_everything(number + 1)
        drawn: dict[str, Any] = stock.get_parameters(image=torch.empty(1, *situation.read))
        for name, run in (
            ("stock", lambda drawn=drawn: stock._apply_to_segmentation(labels, **drawn)),
            ("ours", lambda drawn=drawn: ours._apply_to_segmentation(labels, **drawn)),
            ("floor", lambda: voxels.index_select(0, index)),
        ):
            start = process_time()
            run()
            if number >= 0:
                times[name].append(process_time() - start)
    ratios = [mine / base for mine, base in zip(times["stock"], times["ours"], strict=True)]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return {
        "milliseconds": 1000 * median(times["ours"]),
        "stock_milliseconds": 1000 * median(times["stock"]),
        "floor_milliseconds": 1000 * median(times["floor"]),
        "ratio": sum(times["stock"]) / sum(times["ours"]),
        "ratio_low": float(low),
        "ratio_high": float(high),
        "at_least": situation.sampler,
    }


def peak_memory(name: str, arm: str) -> float:
    """Megabytes that this process held at most."""
    situation = SITUATIONS[name]
    image, labels = example(situation)
    transforms = transforms_of(situation, arm)
    # Only what the transforms add counts: cutting the phantom into parts took more than they do.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    for number in range(12):
        seed_everything(number)
        transforms(image=image.clone(), segmentation=labels.clone())
    # Not the maximum of getrusage, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def memory_of(name: str, arm: str) -> float:
    """``peak_memory`` of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.default_augmentation", "--memory-of", name, arm]
    return float(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


if __name__ == "__main__":
    main()
