"""Steps of pretext trainings against nnU-Net's own.

python -m benchmarks.pretext [--rounds 10] [--threads 1] [--out benchmarks/results/pretext.json]

Times are CPU time. A step of nnU-Net's trainer is with labels and deep supervision, on the same network and patches;
those that are trained without labels must take at most 1.15 times as long.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import torch

from benchmarks.measuring import paired, save
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door.trainers import find

BASELINE = "nnUNetTrainer_run2"
TRAINERS = ("PretextGenesis", "PretextGenesis_noskips", "PretextMasked", "PretextContrastive")
PATCH, FEATURES = [24, 48, 48], [16, 32, 64, 96]


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {"steps": _steps(arguments.rounds)}
    if arguments.out:
        save(arguments.out, {"threads": arguments.threads, "results": results})


def _steps(rounds: int) -> dict[str, Any]:
    with Bench() as bench:
        steps: dict[str, Callable[[], object]] = {}
        first = find(BASELINE)
        assert first is not None
        with bench.room(first, Situation("labels", "3d", True)) as room:
            plans = deepcopy(room.data.plans)
            settings = plans["configurations"]["3d_fullres"]
            settings["patch_size"] = PATCH
            settings["architecture"]["arch_kwargs"] |= {
                "features_per_stage": FEATURES,
                "n_conv_per_stage": [2] * 4,
                "n_conv_per_stage_decoder": [2] * 3,
            }
            for name in (BASELINE, *(f"nnUNetTrainer{trainer}" for trainer in TRAINERS)):
                trainer = find(name)
                assert trainer is not None
                run = Run(trainer, room.situation, replace(room.data, plans=plans), room.folder)
                built = run.build(untouched=True)
                built.set_deep_supervision_enabled(built.enable_deep_supervision)
                built.network.train()
                batch = next(built.get_dataloaders()[0])
                steps[name] = partial(lambda built, batch: built.train_step(deepcopy(batch)), built, batch)
            timed = paired(steps, baseline=BASELINE, rounds=rounds, clock=process_time)
    print(f"step on {'x'.join(map(str, PATCH))}, at most 1.15")
    for name, row in timed.items():
        print(f"{name:36} {row['milliseconds']:8.1f} ms {row['ratio']:6.2f}")
    return timed


if __name__ == "__main__":
    main()
