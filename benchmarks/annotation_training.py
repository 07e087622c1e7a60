"""Training on few annotated slices, compared with nnU-Net's own trainer: patches per second, and time of a step.

All trainers are built as nnU-Net's command builds them, with one process that loads, augments and trains. They take
turns. Times are processor times, which other programs on the machine hardly disturb. Patches of all trainers go through
the same augmentation, which takes nearly all of the time. So reading is also measured alone. The time of a patch varies
by chance, because most transforms are applied to some patches only. So a ratio is that of the sums over all rounds.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np

BASELINE = "nnUNetTrainer"
TRAINERS = (
    BASELINE,
    "nnUNetTrainerSparseSlices",
    "nnUNetTrainerSparseSlices_density0p1",
    "nnUNetTrainerSparseSlices_density0p1_mi",
)
LEAST_SAMPLES, MOST_STEP = 0.9, 1.1
WARM_UP = 3


def measured(dataset: str, configuration: str, rounds: int) -> dict[str, Any]:
    """Ratios to nnU-Net's trainer.

    Args:
        dataset: Full name of a dense, preprocessed data set.
        configuration: Name of one of nnU-Net's configurations.
        rounds: Number of batches of each trainer.

    Returns:
        By trainer: ratios of samples per second for reading, and for reading with augmentation; the ratio of the time
        of a step; milliseconds of each; and seconds until the loader was ready.
    """
    with tempfile.TemporaryDirectory() as results:
        os.environ.update({"nnUNet_n_proc_DA": "0", "nnUNet_compile": "f", "nnUNet_results": results})
        built = {name: _built(name, dataset, configuration) for name in TRAINERS}
        times: dict[str, dict[str, list[float]]] = {name: {} for name in TRAINERS}
        for number in range(-WARM_UP, rounds):
            for turn in range(len(TRAINERS)):
                name = TRAINERS[(number + turn) % len(TRAINERS)]
                seconds = _round(built[name][0], number + WARM_UP)
                for part, duration in seconds.items() if number >= 0 else ():
                    times[name].setdefault(part, []).append(duration)
    return {name: _row(times[name], times[BASELINE]) | {"ready_seconds": built[name][1]} for name in TRAINERS}


def printed(rows: dict[str, Any]) -> list[str]:
    """A line for each trainer, with the goals."""
    lines = [f"{'':45}{'reading':>9}{'samples/s':>11}{'step':>7}{'ms':>15}{'ready after':>13}"]
    for name, row in rows.items():
        milliseconds = f"{row['augmented_ms']:.1f} + {row['step_ms']:.1f}"
        lines.append(
            f"{name:45}{row['read_samples_ratio']:8.2f}x{row['samples_ratio']:10.2f}x{row['step_ratio']:6.2f}x"
            f"{milliseconds:>15}{row['ready_seconds']:11.1f} s"
        )
    return [*lines, f"goals: samples/s at least {LEAST_SAMPLES}x, step at most {MOST_STEP:.2f}x"]


def _built(name: str, dataset: str, configuration: str) -> tuple[Any, float]:
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    torch.set_num_threads(1)
    trainer = get_trainer_from_args(dataset, configuration, 0, name, "nnUNetPlans", device=torch.device("cpu"))
    begin = process_time()
    trainer.on_train_start()
    ready = process_time() - begin
    trainer.on_train_epoch_start()
    return trainer, ready


def _round(trainer: Any, seed: int) -> dict[str, float]:
    """Seconds of reading a batch, of reading and augmenting one, and of a step with it; all from one seed."""
    batch: dict[str, Any] = {}
    return {
        "read": _timed(partial(_without_transforms, trainer.dataloader_train.data_loader), seed),
        "augmented": _timed(lambda: batch.update(next(trainer.dataloader_train)), seed),
        "step": _timed(lambda: trainer.train_step(batch), seed),
    }


def _timed(function: Callable[[], object], seed: int) -> float:
    import torch

    np.random.seed(seed)
    torch.manual_seed(seed)
    begin = process_time()
    function()
    return process_time() - begin


def _without_transforms(loader: Any) -> None:
    transforms, loader.transforms = loader.transforms, None
    try:
        loader.generate_train_batch()
    finally:
        loader.transforms = transforms


def _row(mine: dict[str, list[float]], base: dict[str, list[float]]) -> dict[str, float]:
    ratio = {part: sum(mine[part]) / sum(base[part]) for part in mine}
    return {
        "samples_ratio": 1 / ratio["augmented"],
        "read_samples_ratio": 1 / ratio["read"],
        "step_ratio": ratio["step"],
        **{f"{part}_ms": 1000 * float(np.mean(values)) for part, values in mine.items()},
    }
