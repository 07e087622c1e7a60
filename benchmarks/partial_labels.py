"""Forward and backward of PartialLabels and WeightMap compared with nnU-Net's default loss on the same logits.

Of two samples one lacks a class; every voxel has a weight.

python -m benchmarks.partial_labels [--rounds 40] [--device cuda] [--out benchmarks/results/partial_labels.json]
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter, process_time

import torch
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import nn

from benchmarks.loss_step import BASELINE, SHAPES, logits_and_target, step
from benchmarks.measuring import paired, save
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.weight_map import WeightedDiceCE
from nnunet_tricks.tricks.partial.merging import PartialLoss

MOST = 1.05
"""Largest allowed ratio."""


def _losses(target: torch.Tensor, lacking: int, *, regions: bool) -> dict[str, nn.Module]:
    """nnU-Net's loss, and the two that are compared with it; the first ``lacking`` samples lack the last class."""
    dice = {"batch_dice": False, "smooth": 1e-5, "do_bg": regions, "ddp": False}
    plain: nn.Module = (
        DC_and_BCE_loss({}, dice, dice_class=MemoryEfficientSoftDiceLoss)
        if regions
        else DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    )
    partly = PartialLoss(plain, regions=regions)
    partly.lacking = [[2]] * lacking + [[]] * (len(target) - lacking)
    weighted = Criterion(WeightedDiceCE(batch=False), regions=regions)
    weighted.weights = torch.rand(target[:, 0].shape, device=target.device)
    return {BASELINE: plain, "PartialLabels": partly, "WeightMap": weighted}


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = {}
    for (name, shape), regions in product(SHAPES.items(), (False, True)):
        logits, target = logits_and_target(shape, arguments.device)
        lacking = shape[0] // 2
        target[:lacking][target[:lacking] == 2] = 0
        if regions:
            # As nnU-Net has them: the first region holds all others.
            target = torch.cat([target > 0, target > 1, target > 1], 1)
        losses = _losses(target, lacking, regions=regions)
        steps = {loss: partial(step, criterion, logits, target) for loss, criterion in losses.items()}
        clock = process_time if arguments.device == "cpu" else perf_counter
        timed = paired(steps, baseline=BASELINE, rounds=arguments.rounds, clock=clock)
        name = f"{name} regions" if regions else name
        results[name] = {"shape": shape, "losses": timed}
        print(f"\n{name} {'x'.join(map(str, shape))}, {arguments.threads} thread(s), {arguments.device}")
        print(f"{'':30} {'ms':>7} {'ratio':>6} {'quartiles':>13}   at most {MOST}")
        for loss, row in timed.items():
            quartiles = f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}"
            print(f"{loss:30} {row['milliseconds']:7.1f} {row['ratio']:6.2f} {quartiles:>13}")
    if arguments.out:
        save(arguments.out, {"threads": arguments.threads, "device": arguments.device, "results": results})


if __name__ == "__main__":
    main()
