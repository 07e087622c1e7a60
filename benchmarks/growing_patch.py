"""Time of a training step with growing patches, averaged over a training, as a ratio to that with planned patches.

python -m benchmarks.growing_patch Dataset501_Hippocampus 3d_fullres_small [--mode efficient] [--epochs 1000]
    [--steps 6] [--out benchmarks/results/growing_patch.json]

Both trainers go through the stages of the one with growing patches. In each stage both take some steps by turns, the
first of them without a clock. A stage counts as many times as it has epochs. Times are CPU times of one process with
one thread: of the step alone, as where other processes load patches fast enough, and of the step with the loading and
the augmentation of its batch.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

# This must be set before nnU-Net is imported.
os.environ.update({"nnUNet_n_proc_DA": "0", "nnUNet_compile": "f", "OMP_NUM_THREADS": "1"})
PLANNED, GROWING = "planned", "growing"
PARTS = ("step", "step and loading")
AT_MOST = {"efficient": 0.5}
"""Ratio of step times that is aimed at."""


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    parser.add_argument("--mode", choices=("efficient", "performance"), action="append")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    for mode in arguments.mode or ["efficient", "performance"]:
        with tempfile.TemporaryDirectory() as results:
            os.environ.update({"nnUNet_results": results})
            row = measured(arguments, mode)
        print(f"{mode}: " + ", ".join(f"{part} {row[part]['ratio']:.2f}x" for part in PARTS), flush=True)
        if arguments.out:
            from benchmarks.measuring import save

            before = json.loads(arguments.out.read_text())["results"] if arguments.out.exists() else {}
            key = f"{arguments.dataset} {arguments.configuration} {mode}"
            save(arguments.out, {"results": before | {key: row}})


def measured(arguments: argparse.Namespace, mode: str) -> dict[str, Any]:
    """Seconds of steps in each stage, and their ratio over the whole training."""
    import torch

    torch.set_num_threads(1)
    token = "" if mode == "efficient" else f"_{mode}"
    tail = "" if arguments.epochs == 1000 else f"_{arguments.epochs}epochs"
    trainers = {
        PLANNED: _started(arguments, f"nnUNetTrainer{tail}_run2"),
        GROWING: _started(arguments, f"nnUNetTrainerGrowingPatch{token}{tail}_run2"),
    }
    stages = trainers[GROWING].stages
    rows = []
    for stage, end in zip(stages, [*(later.first for later in stages[1:]), arguments.epochs], strict=True):
        for trainer in trainers.values():
            trainer.current_epoch = stage.first
            trainer.on_train_epoch_start()
        times = _steps(trainers, arguments.steps)
        rows.append(
            {
                "patch": list(stage.size),
                "batch": stage.batch,
                "epochs": end - stage.first,
                **{f"{part} of {name}": times[name][number] for name in times for number, part in enumerate(PARTS)},
            }
        )
        print(rows[-1], flush=True)
    return {
        "mode": mode,
        "epochs": arguments.epochs,
        "steps": arguments.steps,
        "planned patch": list(stages[-1].size),
        "at_most": AT_MOST.get(mode),
        **{part: _whole(rows, part) for part in PARTS},
        "stages": rows,
    }


def _whole(rows: Sequence[dict[str, Any]], part: str) -> dict[str, float]:
    """Mean seconds of a step over the training."""
    epochs = sum(row["epochs"] for row in rows)
    means = {
        name: sum(row["epochs"] * row[f"{part} of {name}"] for row in rows) / epochs for name in (PLANNED, GROWING)
    }
    return {**means, "ratio": means[GROWING] / means[PLANNED]}


def _started(arguments: argparse.Namespace, name: str) -> Any:
    import torch
    from nnunetv2 import paths

    from nnunet_tricks.door.lookup import find_trainer

    folder = Path(os.fspath(paths.nnUNet_preprocessed)) / arguments.dataset
    plans, dataset = (json.loads((folder / f"{file}.json").read_text()) for file in ("nnUNetPlans", "dataset"))
    trainer: Any = find_trainer(name)(
        {**plans, "continue_training": False}, arguments.configuration, "all", dataset, torch.device("cpu")
    )
    trainer.on_train_start()
    return trainer


def _steps(trainers: dict[str, Any], steps: int) -> dict[str, tuple[float, float]]:
    """Median seconds of a step, alone and with its batch, of each trainer."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in trainers}
    for number in range(steps + 1):
        for name, trainer in trainers.items():
            began = process_time()
            batch = next(trainer.dataloader_train)
            loaded = process_time()
            trainer.train_step(batch)
            ended = process_time()
            if number:
                times[name].append((ended - loaded, ended - began))
    return {name: (median(t[0] for t in taken), median(t[1] for t in taken)) for name, taken in times.items()}


if __name__ == "__main__":
    main()
