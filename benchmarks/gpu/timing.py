"""Time and memory of calls beside each other, in rounds whose order changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from benchmarks.gpu.settings import Settings


def compared(runs: Mapping[str, Callable[[], object]], settings: Settings, rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of each run, the ratio to the first, and peak memory above what was there before.

    Runs take turns, in an order that changes. What runs out of memory has an error in place of numbers.
    """
    import torch

    times: dict[str, list[float]] = {name: [] for name in runs}
    rows: dict[str, dict[str, Any]] = {name: {} for name in runs}
    alive = dict(runs)
    for name, run in runs.items():
        try:
            rows[name] = {"peak_mib": peak(run, settings)}
        except torch.cuda.OutOfMemoryError:
            rows[name] = {"error": "out of memory"}
            del alive[name]
            torch.cuda.empty_cache()
    names = list(alive)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(timed(alive[name], settings))
    first = names[0]
    for name in names:
        ratios = sorted(own / other for own, other in zip(times[name], times[first], strict=True))
        rows[name] |= {"milliseconds": round(1000 * median(times[name]), 3), "ratio": round(median(ratios), 4)}
    for name, row in rows.items():
        words = row.get("error") or f"{row['milliseconds']:10.2f} ms  x {row['ratio']:6.3f}  {row['peak_mib']:8.0f} MiB"
        print(f"  {name:40} {words}", flush=True)
    return rows


def timed(run: Callable[[], object], settings: Settings) -> float:
    """Seconds of one call, until the device has ended it."""
    import torch

    if settings.is_cuda:
        torch.cuda.synchronize()
    began = time.perf_counter() if settings.is_cuda else time.process_time()
    run()
    if settings.is_cuda:
        torch.cuda.synchronize()
        return time.perf_counter() - began
    return time.process_time() - began


def peak(run: Callable[[], object], settings: Settings) -> float:
    """MiB that a call needs at its highest, above what was there. The first of two calls warms up; 0 on a CPU."""
    import torch

    run()
    if not settings.is_cuda:
        return 0.0
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)


def free(settings: Settings) -> None:
    """Give back what networks held."""
    import gc

    import torch

    gc.collect()
    if settings.is_cuda:
        torch.cuda.empty_cache()
