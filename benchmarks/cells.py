"""Losses on the cells of objects against nnU-Net's default loss on the same logits, forward and backward, maps given.

And the time of a map of cells of a 128^3 patch, against nnU-Net's own augmentation of that patch.

python -m benchmarks.cells [--rounds 20] [--out benchmarks/results/cells.json]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.loss_step import BASELINE, SHAPES, step
from benchmarks.measuring import paired, save
from benchmarks.targets import BASELINE as AUGMENTATION
from benchmarks.targets import DRAWS, SIZE, SPACING, augmentation, repeat
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.bicc import BiCCLoss
from nnunet_tricks.tricks.loss.blob import BlobLoss
from nnunet_tricks.tricks.loss.cc_dice import CCDiceLoss
from nnunet_tricks.tricks.targets.cells import cells
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import MapOfKinds

MOST = {"CCDice": 1.5}
"""Largest allowed ratio of each loss."""
OBJECTS = 20
"""Objects of each class in a patch."""


def main() -> None:
    """Measure, print tables, save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    losses = {name: of_loss(shape, arguments.rounds) for name, shape in SHAPES.items()}
    maps = of_map(max(arguments.rounds // 4, 2))
    for name, shape in SHAPES.items():
        show(f"{name} {'x'.join(map(str, shape))}, {OBJECTS} objects of each class", losses[name])
    show(f"maps of {DRAWS} patches of {'x'.join(map(str, SIZE))}, {OBJECTS} objects", maps)
    if arguments.out:
        results = {"objects": OBJECTS, "shapes": SHAPES, "losses": losses, "size": SIZE, "patches": DRAWS, "maps": maps}
        save(arguments.out, results)


def show(title: str, timed: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    print(f"\n{title}\n{'':40} {'ms':>7} {'ratio':>6} {'quartiles':>13} {'at most':>8}")
    for name, row in timed.items():
        bound = f"{MOST[name]:.2f}" if name in MOST else ""
        quartiles = f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}"
        print(f"{name:40} {row['milliseconds']:7.1f} {row['ratio']:6.2f} {quartiles:>13} {bound:>8}")


def of_loss(shape: tuple[int, ...], rounds: int) -> dict[str, dict[str, float]]:
    """Times of the losses on logits of a shape."""
    torch.manual_seed(0)
    labels = [spots(shape[2:], shape[1] - 1, seed) for seed in range(shape[0])]
    target = torch.from_numpy(np.stack(labels))[:, None]
    # A network that has learned to find most objects: BiCC depends on how many are predicted.
    found = torch.nn.functional.one_hot(target[:, 0].long(), shape[1]).movedim(-1, 1)
    logits = (6 * found + torch.randn(shape)).requires_grad_()
    dice = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    losses: dict[str, nn.Module] = {BASELINE: DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)}
    for name, loss, make in (
        ("CCDice", CCDiceLoss(alpha=1, beta=1, batch=False), cells),
        ("BiCC", BiCCLoss(alpha=0.5, spacing=(1.0,) * (len(shape) - 2), batch=False), cells),
        ("Blob", BlobLoss(alpha=2, beta=1, batch=False), objects),
    ):
        criterion = Criterion(loss)
        criterion.maps = maps_of(make, target, shape[1] - 1)
        losses[name] = criterion
    steps = {name: partial(step, loss, logits, target) for name, loss in losses.items()}
    return paired(steps, baseline=BASELINE, rounds=rounds, clock=process_time)


def of_map(rounds: int) -> dict[str, dict[str, float]]:
    """Times of a map of cells, for one class."""
    kinds = spots(SIZE, 1, 0)
    functions = {
        AUGMENTATION: partial(repeat, augmentation(kinds > 0)),
        "cells": partial(repeat, partial(cells, kinds, SPACING)),
        "numbers of objects": partial(repeat, partial(objects, kinds, SPACING)),
    }
    return paired(functions, baseline=AUGMENTATION, rounds=rounds, clock=process_time)


def maps_of(make: MapOfKinds, target: Tensor, classes: int) -> Tensor:
    """Maps that the loader would add to the target, (B, classes, *spatial)."""
    layout = Layout(classes, False, False)
    append = AppendMaps(make, layout, (1.0,) * (target.ndim - 2), numbers=True)
    return layout.split(torch.stack([append(segmentation=sample)["segmentation"] for sample in target]))[1]


def spots(size: tuple[int, ...], classes: int, seed: int) -> NDArray[np.int16]:
    """Balls of several sizes, some of each class."""
    generator = np.random.default_rng(seed)
    labels = np.zeros(size, np.int16)
    for number in range(OBJECTS * classes):
        radius = generator.integers(2, 7)
        centre = [int(generator.integers(radius, side - radius)) for side in size]
        box = tuple(slice(at - radius, at + radius + 1) for at in centre)
        offsets = np.indices((2 * radius + 1,) * len(size)) - radius
        labels[box][(offsets**2).sum(0) <= radius**2] = 1 + number % classes
    return labels


if __name__ == "__main__":
    main()
