"""Time and memory of calls beside each other, in rounds whose order changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import median
from typing import Any

from benchmarks.gpu.failures import noted
from benchmarks.gpu.settings import Settings


def compared(
    runs: Mapping[str, Callable[[], object]], baseline: str, settings: Settings, rounds: int, what: str
) -> dict[str, dict[str, Any]]:
    """Median milliseconds of each run, the ratio to the baseline, and peak memory above what was there before.

    Runs take turns, in an order that changes. A run that fails in any round has an error in place of numbers, and the
    others go on. Without numbers of the baseline there are no ratios. Rounds that there is no time for are left out.

    Args:
        runs: Calls by name.
        baseline: Name of the run that the others are compared with.
        settings: Device and time.
        rounds: Number of rounds after the warm-up.
        what: Words for what is compared, for the list of what was left out.

    Returns:
        A row for each run that there was time for.
    """
    rows: dict[str, dict[str, Any]] = {}
    times: dict[str, list[float]] = {}
    for name, run in runs.items():
        if settings.budget.over(f"{name} of {what}"):
            continue
        times[name] = []
        with noted(rows, name):
            rows[name] = {"peak_mib": peak(run, settings)}
        drop_failed(times, rows, settings)
    for turn in range(rounds):
        names = list(times)
        if not names or settings.budget.over(f"{rounds - turn} of {rounds} rounds of {what}"):
            break
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            with noted(rows, name):
                times[name].append(timed(runs[name], settings))
        drop_failed(times, rows, settings)
    others = times.get(baseline)
    for name, own in times.items():
        if own:
            rows[name] |= {"rounds": len(own), "milliseconds": round(1000 * median(own), 3)}
        if own and others:
            ratios = [mine / other for mine, other in zip(own, others, strict=True)]
            rows[name]["ratio"] = round(median(ratios), 4)
        print(f"  {name:40} {in_columns(rows[name])}", flush=True)
    return rows


def drop_failed(times: dict[str, list[float]], rows: Mapping[str, Mapping[str, Any]], settings: Settings) -> None:
    """Measure no more what has failed, and give back what it held."""
    for name in [name for name in times if "error" in rows[name]]:
        del times[name]
        free(settings)


def in_columns(row: Mapping[str, Any]) -> str:
    """The numbers of a row, as far as there are any."""
    if "milliseconds" not in row:
        return f"no time for a round  {row['peak_mib']:8.0f} MiB"
    ratio = f"{row['ratio']:6.3f}" if "ratio" in row else "     ?"
    return f"{row['milliseconds']:10.2f} ms  x {ratio}  {row['peak_mib']:8.0f} MiB"


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
    """MiB that a call needs at its highest, above what was there before the first of two calls, which warms up.

    So gradients and the optimizer's state count, although the first call leaves them. 0 on a CPU.
    """
    import torch

    if not settings.is_cuda:
        run()
        return 0.0
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)


def free(settings: Settings) -> None:
    """Give back what networks held, unless an error has left the device unusable."""
    import gc

    import torch

    gc.collect()
    if settings.is_cuda:
        with suppress(RuntimeError):
            torch.cuda.empty_cache()
