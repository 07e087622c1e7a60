"""Times a few training steps of a configuration on this machine. No other module here needs torch and nnU-Net.

It runs as a process of its own, with ``nnUNet_results`` set to a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nnunet_tricks.experiment.loading import measure_loading
from nnunet_tricks.experiment.processes import memory_of, memory_of_this_process

WARM_UP = 3
FEWER = 4
"""Training steps for each validation or inference step."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Time one configuration, and write the result as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in ("dataset", "configuration", "plans", "trainer", "device"):
        parser.add_argument(name)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args(arguments)
    try:
        measured = _measure(chosen)
    finally:
        # Loading processes would outlive this one, and whoever reads its output would wait for them forever.
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
    chosen.out.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    sys.stdout.flush()
    # Threads that pass on the batches of the loading processes would keep this one waiting.
    os._exit(0)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    # Fold 'all', so that no split file is written.
    trainer = get_trainer_from_args(
        arguments.dataset,
        arguments.configuration,
        "all",
        arguments.trainer,
        arguments.plans,
        device=torch.device(arguments.device),
    )
    # In their last epoch all trainers have planned patches, and the times are for all trainings of a configuration.
    trainer.current_epoch = max(trainer.num_epochs - 1, 0)
    if arguments.device == "cpu":
        torch.set_num_threads(os.cpu_count() or 1)
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    step = _each(lambda: trainer.train_step(next(trainer.dataloader_train)), arguments.steps)
    fewer = max(arguments.steps // FEWER, 1)
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        validation_step = _each(lambda: trainer.validation_step(next(trainer.dataloader_val)), fewer)
    patch = next(trainer.dataloader_val)["data"][:1].to(trainer.device)
    with torch.inference_mode():
        forward = _each(lambda: _first(trainer.network(patch)).float().mean().item(), fewer)
    loading = measure_loading(trainer, _each, arguments.steps)
    checkpoint = Path(trainer.output_folder) / "checkpoint_timed.pth"
    trainer.save_checkpoint(str(checkpoint))
    return {
        "step": step,
        "loading": loading,
        "validation_step": validation_step,
        "forward": forward,
        "steps_per_epoch": trainer.num_iterations_per_epoch,
        "validation_steps_per_epoch": trainer.num_val_iterations_per_epoch,
        "mirrored_axes": len(trainer.inference_allowed_mirroring_axes or ()),
        "checkpoint_bytes": checkpoint.stat().st_size,
        "memory": memory_of_this_process()
        + memory_of(child.pid for child in multiprocessing.active_children() if child.pid),
        "device_memory": torch.cuda.max_memory_reserved() if arguments.device == "cuda" else None,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else arguments.device,
    }


def _each(work: Callable[[], object], count: int) -> float:
    """Mean seconds of a step. Each step ends with a number on the CPU, so that a GPU's queue is empty."""
    for _ in range(WARM_UP):
        work()
    began = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - began) / count


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, list | tuple) else output


if __name__ == "__main__":
    main()
