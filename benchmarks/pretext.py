"""Steps of pretext trainings against nnU-Net's own, and local shuffling against a loop over windows.

python -m benchmarks.pretext [--rounds 10] [--threads 1] [--out benchmarks/results/pretext.json]

Both numbers are for the CPU. A step of nnU-Net's trainer is with labels and deep supervision, on the same network and
patches; those that are trained without labels must take at most 1.15 times as long.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor

from benchmarks.measuring import paired, save
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door.trainers import find
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.shuffling import WINDOWS, grid_of, shuffled

BASELINE = "nnUNetTrainer_run2"
TRAINERS = ("PretextGenesis", "PretextGenesis_noskips", "PretextMasked", "PretextContrastive")
PATCH, FEATURES = [24, 48, 48], [16, 32, 64, 96]
SHUFFLED = (((40, 56, 40), (3, 4, 3)), ((64, 64, 64), (4, 4, 4)), ((128, 128, 128), (6, 6, 6)), ((512, 512), (16, 16)))
"""Patches, and typical sides of their windows."""


def main() -> None:
    """Measure, print two tables, save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {"steps": _steps(arguments.rounds), "shuffling": _shuffling(arguments.rounds)}
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


def _shuffling(rounds: int) -> list[dict[str, Any]]:
    rows = []
    print(f"\nshuffling of {WINDOWS} windows at most")
    for shape, sides in SHUFFLED:
        image, chance = torch.rand(1, *shape), Chance(0, torch.device("cpu"))
        corners, inside = grid_of(shape, sides, [0] * len(shape))
        chosen = corners[:WINDOWS]
        functions = {
            "at once": partial(shuffled, image, chosen, inside, chance),
            "loop": partial(_one_by_one, image, sides, len(chosen), chance),
        }
        timed = paired(functions, baseline="at once", rounds=rounds, clock=process_time)
        rows.append({"shape": shape, "sides": sides, "windows": len(chosen), "timed": timed})
        words = f"{'x'.join(map(str, shape))}, {len(chosen)} windows of {'x'.join(map(str, sides))}"
        print(
            f"{words:44} {timed['at once']['milliseconds']:7.2f} ms, a loop {timed['loop']['ratio']:.1f} times as long"
        )
    return rows


def _one_by_one(image: Tensor, sides: tuple[int, ...], windows: int, chance: Chance) -> Tensor:
    """Shuffling as in the published code: window by window, at random places."""
    result = image.clone()
    for _ in range(windows):
        begins = [chance.whole(0, length - side) for length, side in zip(image.shape[1:], sides, strict=True)]
        place = (slice(None), *(slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True)))
        window = image[place]
        result[place] = window.flatten(1)[:, torch.randperm(prod(sides))].view_as(window)
    return result


if __name__ == "__main__":
    main()
