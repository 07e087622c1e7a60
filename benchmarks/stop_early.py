"""What StopEarly computes in an epoch, beside the loss of one validation batch.

python -m benchmarks.stop_early [--rounds 30] [--out benchmarks/results/stop_early.json]

The log has the length of nnU-Net's whole training, and patience never runs out: no epoch costs more than its last.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time
from typing import Any

import torch

from benchmarks.measuring import paired, save
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers

EPOCHS = 1000
MOST = 1.0
"""Milliseconds that an epoch may need."""
STEP = "one validation step of a tiny network"


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    maker: Any = trainers.find("nnUNetTrainerStopEarly_anneal100")
    with Bench() as bench, bench.room(maker, Situation("labels", "2d", True)) as run:
        trainer: Any = run.probe
        log = trainer.logger.local_logger.my_fantastic_logging["mean_fg_dice"] = [e / EPOCHS for e in range(EPOCHS)]
        batch = next(trainer.dataloader_val)

        def bookkeeping() -> None:
            log[-1] += 1e-6  # what an epoch adds
            # Before the first step, for the learning rate, and at the end.
            trainer._standstill(EPOCHS - 1)
            trainer._place(EPOCHS - 1)
            trainer._standstill(EPOCHS)

        results = paired(
            {STEP: lambda: trainer.validation_step(batch), "StopEarly in an epoch": bookkeeping},
            baseline=STEP,
            rounds=arguments.rounds,
            clock=process_time,
        )
    for name, figures in results.items():
        print(f"{name:40} {figures['milliseconds']:8.3f} ms  {figures['ratio']:.4f}")
    milliseconds = results["StopEarly in an epoch"]["milliseconds"]
    print(f"{milliseconds:.3f} ms of CPU, {'within' if milliseconds <= MOST else 'ABOVE'} {MOST} ms")
    if arguments.out:
        save(arguments.out, {"epochs": EPOCHS, "times": results, "most_milliseconds": MOST})


if __name__ == "__main__":
    main()
