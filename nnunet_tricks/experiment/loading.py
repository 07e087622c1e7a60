"""What nnU-Net's workers need to make a batch, and how many of them keep a device busy.

A worker makes whole batches, so that the device waits unless all workers together make one in the time of a training
step. Too many workers are no better: they die when memory ends, and nnU-Net then stops.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.experiment.costs import size_in_words

PATCHES = 24
"""How many patches are made to time one: about a third of them are turned or scaled, which takes most of the time."""

KEPT_FREE = 0.9
"""Part of the free memory that workers may take."""


@dataclass(frozen=True)
class Loading:
    """What a worker needs on a machine.

    Attributes:
        step: Seconds of a training step whose batch is there already.
        stock: Seconds of CPU in which a worker makes a batch with nnU-Net's augmentation.
        ours: The same with ours.
        stock_memory: Bytes that a worker takes at most while it makes batches with nnU-Net's; None if nobody knows.
        ours_memory: The same with ours.
        workers: How many workers nnU-Net starts for training here.
        cores: Processor cores of this process.
        free: Bytes of memory that are free; None if nobody knows.
    """

    step: float
    stock: float
    ours: float
    stock_memory: int | None
    ours_memory: int | None
    workers: int
    cores: int
    free: int | None

    @classmethod
    def of(cls, timing: Mapping[str, Any]) -> Loading | None:
        """From what ``timing`` has measured; None if that was before it measured loading."""
        held = timing.get("loading")
        return cls(**held, cores=cores(), free=free_memory()) if held else None

    def needed(self, batch: float) -> int:
        """The number of workers that make a batch in the time of a step.

        Examples:
            >>> loading = Loading(0.2, 2.1, 0.5, None, None, 12, cores=8, free=None)
            >>> loading.needed(loading.stock), loading.needed(loading.ours)
            (11, 3)
        """
        return max(math.ceil(round(batch / self.step, 3)), 1)

    @property
    def room(self) -> int | None:
        """The number of workers for which there is memory; None if nobody knows."""
        if self.free is None or not self.ours_memory:
            return None
        return int(KEPT_FREE * self.free / self.ours_memory)

    @property
    def sentences(self) -> list[str]:
        """What to do."""
        stock, ours = self.needed(self.stock), self.needed(self.ours)
        lines = [
            f"a training step takes {_seconds(self.step)}; a worker makes a batch in {_seconds(self.stock)} with "
            f"nnU-Net's augmentation{_memory(self.stock_memory)}, in {_seconds(self.ours)} with ours"
            f"{_memory(self.ours_memory)}",
            f"workers that keep the device busy: {stock} with nnU-Net's augmentation, {ours} with ours; nnU-Net starts "
            f"{self.workers} here, and there are {self.cores} cores",
        ]
        room = self.room
        most = min(self.cores, room) if room is not None else self.cores
        if room is not None and room < max(self.workers, ours):
            lines.append(
                f"memory has room for {room} workers: with more, some are killed, and nnU-Net ends with 'background "
                "workers are no longer alive'"
            )
        if ours > most:
            share = 100 * most * self.step / self.ours
            lines.append(
                f"the device waits: export nnUNet_n_proc_DA={max(most, 1)} keeps it busy {share:.0f} % of the time at "
                "best; FastDA takes less time for a batch, and more cores or a larger network change the rest"
            )
        else:
            lines.append(f"export nnUNet_n_proc_DA={ours} is enough with ours")
        return lines


def measure_loading(trainer: Any, each: Callable[[Callable[[], object], int], float], steps: int) -> dict[str, Any]:
    """What ``Loading`` needs, but for what can be asked at any time.

    Args:
        trainer: One of nnU-Net's trainers that has begun.
        each: Mean seconds of some work, done a number of times.
        steps: How many training steps to time.
    """
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

    from nnunet_tricks.training.resampling.exact_spatial import MaskedSpatialTransform, PaddedSpatialTransform
    from nnunet_tricks.training.resampling.fingerprint import reproduced
    from nnunet_tricks.training.resampling.swap import in_place_of, with_replaced

    queue = trainer.dataloader_train
    batch = next(queue)
    step = each(lambda: trainer.train_step(batch), steps)
    loader = queue.data_loader if hasattr(queue, "data_loader") else queue.generator
    batches = max(math.ceil(PATCHES / trainer.batch_size), 1)

    def theirs(transform: Any) -> Any:
        return in_place_of(transform, SpatialTransform)

    kind = reproduced()
    swaps: dict[str, dict[type[Any], Callable[[Any], Any]]] = {
        "stock": {PaddedSpatialTransform: theirs, MaskedSpatialTransform: theirs},
        "ours": {SpatialTransform: kind.in_place_of} if kind else {},
    }
    figures: dict[str, Any] = {"step": step, "workers": get_allowed_n_proc_DA()}
    for name, swap in swaps.items():
        loader.transforms = with_replaced(loader.transforms, swap)
        figures[name], figures[f"{name}_memory"] = _in_a_worker(loader, batches)
    return figures


def _in_a_worker(loader: Any, batches: int) -> tuple[float, int | None]:
    """Seconds of CPU for a batch, and what it adds to the memory of a process."""
    if not sys.platform.startswith("linux"):
        return _made(loader, batches)
    import multiprocessing

    # As nnU-Net starts its workers.
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    worker = context.Process(target=lambda: answers.put(_made(loader, batches)), daemon=True)
    worker.start()
    worker.join()
    if worker.exitcode:
        raise RuntimeError(f"a worker that made {batches} batches ended with code {worker.exitcode}")
    seconds, memory = answers.get()
    return seconds, memory


def _made(loader: Any, batches: int) -> tuple[float, int | None]:
    from time import process_time

    import torch

    from nnunet_tricks.nnunet.sandbox import seed_everything

    torch.set_num_threads(1)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    held = _held("VmRSS")
    loader.generate_train_batch()
    # The same patches for both.
    seed_everything(0)
    began = process_time()
    for _ in range(batches):
        loader.generate_train_batch()
    seconds = (process_time() - began) / batches
    peak = _held("VmHWM")
    return seconds, None if held is None or peak is None else max(peak - held, 0)


def _held(what: str) -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{what}:"):
                return 1024 * int(line.split()[1])
    return None


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return None


def _seconds(duration: float) -> str:
    return f"{duration:.2f} s" if duration >= 0.1 else f"{1000 * duration:.0f} ms"


def _memory(count: int | None) -> str:
    return "" if count is None else f" and {size_in_words(count)} of memory"
