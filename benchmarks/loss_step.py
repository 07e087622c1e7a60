"""Forward and backward of every loss compared with nnU-Net's default loss on the same logits: time and peak memory.

python -m benchmarks.loss_step [--rounds 30] [--threads 1] [--device cuda] [--out benchmarks/results/loss_step.json]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn

from benchmarks.measuring import paired, save
from benchmarks.memory import peak_memory
from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.targets.maps import AppendMaps
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer

SHAPES = {"2d": (12, 3, 256, 256), "3d": (2, 3, 64, 96, 96)}
BASELINE = "nnU-Net DC_and_CE_loss"
MOST = {
    "CE": 0.60,
    "Dice": 0.60,
    "Tversky": 0.60,
    "Focal": 0.90,
    "FocalTversky": 0.60,
    "WCE": 0.60,
    "OHEM": 1.30,
    "TverskyCE": 1.05,
    "DiceOHEM": 1.60,
    "DiceFocal": 1.40,
    "DiceWCE": 1.10,
    "FocalTverskyCE": 1.05,
    "BalancedCE": 0.60,
    "AsymmetricTversky": 0.60,
    "Jaccard": 0.60,
    "LogCoshDice": 0.60,
    "GeneralizedDice": 0.60,
    "Lovasz": 5.00,
    "ExpLog": 1.45,
    "UnifiedFocal": 1.45,
    "Boundary": 0.75,
    "Hausdorff": 0.75,
    "DistanceCE": 0.70,
    "ActiveContour": 1.40,
}
"""Largest allowed ratio of each loss."""
MOST_3D = {**MOST, "ActiveContour": 1.90}
"""Largest allowed ratios in 3D, where a gradient has one more direction."""


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    losses, makers = criteria()
    results = {}
    for name, shape in SHAPES.items():
        logits, target = logits_and_target(shape, arguments.device)
        for loss, criterion in losses.items():
            if isinstance(criterion, Criterion):  # for those that read maps and have a schedule
                criterion.maps, criterion.progress = truths_maps(makers.get(loss), target), 0.5
        steps = {loss: partial(step, criterion, logits, target) for loss, criterion in losses.items()}
        clock = process_time if arguments.device == "cpu" else perf_counter
        timed = paired(steps, baseline=BASELINE, rounds=arguments.rounds, clock=clock)
        size = logits.numel() * logits.element_size()
        for loss in timed:
            run = steps.get(loss, steps[BASELINE])
            timed[loss]["peak_memory_in_logits"] = (
                peak_memory(run, cuda=logits.is_cuda, forget=partial(setattr, logits, "grad", None)) / size
            )
        results[name] = {"shape": shape, "losses": timed}
        print(f"\n{name} {'x'.join(map(str, shape))}, {arguments.threads} thread(s), {arguments.device}")
        print(f"{'':30} {'ms':>7} {'ratio':>6} {'quartiles':>13} {'at most':>8} {'peak memory (x logits)':>24}")
        for loss, row in timed.items():
            most = (MOST_3D if name == "3d" else MOST).get(loss)
            bound = f"{most:.2f}" if most else ""
            quartiles = f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}"
            print(
                f"{loss:30} {row['milliseconds']:7.1f} {row['ratio']:6.2f} {quartiles:>13} {bound:>8} "
                f"{row['peak_memory_in_logits']:24.2f}"
            )
    if arguments.out:
        save(arguments.out, {"threads": arguments.threads, "device": arguments.device, "results": results})


def criteria() -> tuple[dict[str, nn.Module], dict[str, AppendMaps]]:
    """nnU-Net's default loss and every loss of the catalogue as their trainers build them, without batch Dice.

    Returns:
        The losses by name, and the makers of maps for those that read maps.
    """
    dice = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    losses: dict[str, nn.Module] = {BASELINE: DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)}
    makers: dict[str, AppendMaps] = {}
    with Bench() as bench:
        for info in CATALOGUE:
            trainer = trainers.find(info.trainer)
            if "loss" in info.hooks and trainer:
                # A tiny 3D data set has no batch Dice; nor has the baseline here.
                with bench.room(trainer, Situation("labels", "3d", False)) as run:
                    built = run.build()
                    losses[info.name] = built.loss
                    if isinstance(built, MappedLossTrainer):
                        makers[info.name] = built.maps_of_truth
    return losses, makers


def truths_maps(maker: AppendMaps | None, target: Tensor) -> Tensor | None:
    """Maps that the loader would add to the target, (B, maps, *spatial); ``None`` for a loss that reads none."""
    if maker is None:
        return None
    append = AppendMaps(maker.map_of_kinds, maker.layout, (1.0,) * (target.ndim - 2))
    joined = torch.stack([append(segmentation=sample)["segmentation"] for sample in target.cpu()])
    return maker.layout.split(joined)[1].to(target.device)


def logits_and_target(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor]:
    """Random logits, and blobs of each class in nnU-Net's target layout."""
    torch.manual_seed(0)
    logits = torch.randn(shape)
    coarse = torch.randn(*shape[:2], *(side // 16 for side in shape[2:]))
    target = F.interpolate(coarse, size=shape[2:]).argmax(1, keepdim=True).to(torch.int16)
    return logits.to(device).requires_grad_(), target.to(device)


def step(criterion: nn.Module, logits: Tensor, target: Tensor) -> None:
    """Run forward and backward once."""
    logits.grad = None
    criterion(logits, target).backward()
    if logits.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
