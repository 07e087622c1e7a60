"""DDP with two processes on one device."""

from __future__ import annotations

import json
import math
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.deadline import wait_for
from benchmarks.gpu.rank import train
from benchmarks.gpu.settings import Measurements, Settings

TOLERANCE = 1e-4
"""Relative difference of losses that are the same but for the order of their sums."""


def two_processes(settings: Settings) -> Measurements:
    """DDP with two processes on one device: that weights and loss are right, and what a step takes.

    Two processes share the card, so a step is not faster than in one. NCCL refuses two processes on one card, so gloo
    carries the gradients. What this shows is that losses and networks work in DDP on a GPU.
    """
    for name in ("DiceFocal",) if settings.quick else ("", "DiceFocal", "IFECurvature"):
        trainer = f"nnUNetTrainer{name}"
        if not settings.budget.over(f"DDP of {trainer}"):
            yield trainer, partial(trained_by_two, trainer, settings)


def trained_by_two(trainer: str, settings: Settings) -> dict[str, Any]:
    """What two processes say after some steps with a trainer's network and loss.

    Raises:
        TimeoutError: If they have not ended when the time of the part is over.
    """
    from torch.multiprocessing.spawn import spawn

    start: Any = spawn  # torch has no types for it
    with tempfile.TemporaryDirectory() as folder:
        arguments = (folder, trainer, settings.device.type, settings.quick)
        processes = start(train, args=arguments, nprocs=2, join=False)
        wait_for(processes, settings.budget.left)
        row = judged([json.loads((Path(folder) / f"rank{rank}.json").read_text()) for rank in range(2)])
    words = ", ".join(f"{key}: {value}" for key, value in row.items())
    print(f"  {trainer:40} {words}", flush=True)
    return row


def judged(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether weights agree between the processes, and the loss with that of one process on the joined batch."""
    both = sum(answer["loss"] for answer in answers) / len(answers)
    joined = answers[0]["loss_of_joined_batch"]
    return {
        "same_weights": len({answer["weights"] for answer in answers}) == 1,
        "loss_in_ddp": all(answer["loss_in_ddp"] for answer in answers),
        "same_loss": math.isclose(both, joined, rel_tol=TOLERANCE),
        "loss_of_two": round(both, 6),
        "loss_of_one": round(joined, 6),
        "milliseconds": round(answers[0]["milliseconds"], 1),
    }
