"""Paired timings and a description of the machine, shared by all benchmarks."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

PACKAGES = ("nnunetv2", "torch", "numpy", "nnunet_tricks")


def paired(
    functions: Mapping[str, Callable[[], object]],
    *,
    baseline: str,
    rounds: int,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, dict[str, float]]:
    """Time functions against a baseline that runs beside them.

    In every round each function runs once and the baseline twice, and the order changes from round to round. A ratio
    compares times of the same round, because a machine that slows down slows both. The second run of the baseline shows
    the noise.

    Args:
        functions: Functions to time, by name.
        baseline: Name of the function to compare with.
        rounds: Number of rounds after one warm-up round.
        clock: Clock in seconds; ``time.process_time`` where other processes would disturb the wall clock.

    Returns:
        For each name, and for ``"<baseline> again"``: median ``milliseconds``, median ``ratio`` and the quartiles of
        the ratio.
    """
    runs = {**functions, f"{baseline} again": functions[baseline]}
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-1, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = clock()
            runs[name]()
            if turn >= 0:
                times[name].append(clock() - start)
    result = {}
    for name in names:
        ratios = [mine / base for mine, base in zip(times[name], times[baseline], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        result[name] = {
            "milliseconds": 1000 * statistics.median(times[name]),
            "ratio": middle,
            "ratio_low": low,
            "ratio_high": high,
        }
    return result


def save(path: Path, results: Mapping[str, Any]) -> None:
    """Write results with machine and versions, completely or not at all.

    Args:
        path: JSON file.
        results: Results of the benchmark.
    """
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps({"machine": machine, **results}, indent=2) + "\n")
    temporary.replace(path)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
