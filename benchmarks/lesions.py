"""Lesion metrics of a large volume: 512x512x200 voxels, with an organ of 10 million voxels and 200 spots beside it.

Processor time, and peak memory of a fresh process that holds both label maps. The baseline counts pairs with
``numpy.unique``. Equal results are checked first.

python -m benchmarks.lesions [--rounds 3] [--out benchmarks/results/lesions.json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

# Before NumPy starts its threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

SHAPE, SPOTS = (200, 512, 512), 200
SECONDS, GIGABYTES = 4.0, 0.7
"""Limits of processor time and memory."""

OURS, BASELINE = "ours", "numpy.unique"


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=(OURS, BASELINE))
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_measured(arguments.child)))
        return
    runs: dict[str, list[dict[str, Any]]] = {OURS: [], BASELINE: []}
    for _ in range(arguments.rounds):
        for name, rounds in runs.items():
            words = [sys.executable, "-m", "benchmarks.lesions", "--child", name]
            rounds.append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
    counts = {name: rounds[0]["counts"] for name, rounds in runs.items()}
    if counts[OURS] != counts[BASELINE]:
        raise SystemExit(f"the results differ: {counts}")
    result: dict[str, Any] = {
        "foreground": runs[OURS][0]["foreground"],
        "found, missed, invented": counts[OURS],
        **{
            name: {key: median(run[key] for run in rounds) for key in ("cpu_seconds", "gigabytes")}
            for name, rounds in runs.items()
        },
        "seconds at most": SECONDS,
        "gigabytes at most": GIGABYTES,
    }
    for name, value in result.items():
        print(f"{name:24} {value}")
    if arguments.out:
        from benchmarks.measuring import save

        save(arguments.out, {"shape": SHAPE, "rounds": arguments.rounds, **result})


def _measured(which: str) -> dict[str, Any]:
    from nnunet_tricks.comparison.metrics import LabelMapPair
    from nnunet_tricks.comparison.metrics.detection import detect

    prediction, truth = masks()
    foreground = int(np.count_nonzero(truth))
    began = process_time()
    pair = LabelMapPair(prediction, truth, (1.0, 1.0, 1.0)).pair([1])
    if which == OURS:
        lesions = detect(pair.prediction, pair.truth)
        counts = [lesions.found, lesions.missed, lesions.invented]
    else:
        counts = _with_unique(pair.prediction, pair.truth)
    return {
        "foreground": foreground,
        "counts": counts,
        "cpu_seconds": process_time() - began,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def masks() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Prediction and truth. The predicted organ is shifted by three voxels, and each has its own spots."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    generator = np.random.default_rng(0)
    organs = []
    for shift in (3, 0):
        squares = ((z - 100) / 95) ** 2 + ((y - 256) / 160) ** 2
        mask = np.empty(SHAPE, np.uint8)
        for plane in range(SHAPE[0]):
            mask[plane] = squares[plane] + ((x[0] - 256 - shift) / 160) ** 2 < 1
        for _ in range(SPOTS):
            first = [int(generator.integers(0, length - 8)) for length in SHAPE]
            mask[tuple(slice(at, at + size) for at, size in zip(first, (3, 5, 5), strict=True))] = 1
        organs.append(mask)
    return organs[0], organs[1]


def _with_unique(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> list[int]:
    from scipy import ndimage
    from scipy.optimize import linear_sum_assignment

    neighbours = np.ones((3, 3, 3))
    predicted, predictions = ndimage.label(prediction, neighbours)
    true, truths = ndimage.label(truth, neighbours)
    both = prediction & truth
    pairs, common = np.unique(np.stack([predicted[both], true[both]]), axis=1, return_counts=True)
    union = np.bincount(predicted.ravel())[pairs[0]] + np.bincount(true.ravel())[pairs[1]] - common
    allowed = np.zeros((predictions, truths))
    allowed[pairs[0] - 1, pairs[1] - 1] = 10 * common >= union
    matches = int(allowed[linear_sum_assignment(allowed, maximize=True)].sum())
    return [matches, truths - matches, predictions - matches]


if __name__ == "__main__":
    main()
