"""Distances between surfaces, compared with scipy's transform of the whole volume and DeepMind's surface-distance.

One thread, 256x256x128 voxels of 0.8x0.8x2 mm, of which about 570,000 are foreground. Equal results are checked first.

python -m benchmarks.metrics [--rounds 5] [--out benchmarks/results/metrics.json]
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

# Before NumPy starts its threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.measuring import paired, save
from nnunet_tricks.comparison.metrics import LabelMapPair, chosen

SHAPE, SPACING = (128, 256, 256), (2.0, 0.8, 0.8)
TOLERANCE = 1.0
POOLED = ("HD", "HD95", "ASSD", "NSD@1")
SUBVOXEL = ("subvoxel_HD95", "subvoxel_MASD", "subvoxel_NSD@1")
LEAST = {"pooled": 12.0, "subvoxel": 2.0}
"""Smallest factor by which each of the first three masks must be faster than the baseline."""

EXACT = {"pooled": 1e-9, "subvoxel": 1e-6}
Mask = NDArray[np.bool_]


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    results: dict[str, Any] = {}
    for name, (prediction, truth) in masks().items():
        entry: dict[str, Any] = {
            "dice": float(2 * (prediction & truth).sum() / (prediction.sum() + truth.sum())),
            "foreground": int(truth.sum()),
        }
        for family, (ours, baseline, theirs) in families(prediction, truth).items():
            difference = float(np.abs(np.subtract(ours(), theirs())).max())
            if difference > EXACT[family]:
                raise SystemExit(f"{name}, {family}: differs from {baseline} by {difference:g}")
            times = paired(
                {baseline: theirs, "ours": ours}, baseline=baseline, rounds=arguments.rounds, clock=process_time
            )
            faster = 1 / times["ours"]["ratio"]
            entry[family] = {"times faster": faster, "at least": LEAST[family], "difference": difference, **times}
            print(
                f"{name:10} Dice {entry['dice']:.2f} {family:9} {times['ours']['milliseconds']:6.0f} ms, {baseline} "
                f"{times[baseline]['milliseconds']:6.0f} ms: {faster:5.1f} times faster",
                flush=True,
            )
        results[name] = entry
    if arguments.out:
        save(arguments.out, {"shape": SHAPE, "spacing": SPACING, "masks": results})


def masks() -> dict[str, tuple[Mask, Mask]]:
    """Predictions with their truth: a smooth error, a rough border, distant false positives, and scattered islands."""
    rng = np.random.default_rng(0)
    axes = [np.arange(length) * step for length, step in zip(SHAPE, SPACING, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)

    def ball(centre: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.float64]:
        parts = zip((z, y, x), centre, radii, strict=True)
        return np.asarray(sum(((axis - middle) / radius) ** 2 for axis, middle, radius in parts))

    def smooth_noise() -> NDArray[np.float64]:
        return np.asarray(ndimage.zoom(rng.normal(size=(9, 9, 9)), [length / 9 for length in SHAPE], order=3))

    fine = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1)
    body = ball((128, 100, 100), (60, 45, 64)) + 0.12 * smooth_noise()
    truth = body < 1
    signed = ndimage.distance_transform_edt(truth, sampling=SPACING)
    signed -= ndimage.distance_transform_edt(~truth, sampling=SPACING)
    far = truth.copy()
    for centre in ((40, 40, 40), (216, 160, 160), (40, 160, 160), (216, 40, 160)):
        far |= ball(centre, (36, 39, 39)) < 1
    return {
        "smooth": (body + 0.065 * smooth_noise() < 1, truth),
        "rough": (np.where(np.abs(signed) < 4.1, fine > 0, truth), truth),
        "far": (far, truth),
        "scattered": (body + 0.22 * fine / fine.std() < 1, truth),
    }


def families(prediction: Mask, truth: Mask) -> dict[str, tuple[Callable[[], Any], str, Callable[[], Any]]]:
    """For each family our function, the baseline's name, and the baseline. Both functions take whole label maps."""
    labels = prediction.astype(np.uint8), truth.astype(np.uint8)
    return {
        "pooled": (partial(_ours, labels, POOLED), "scipy", partial(_scipy, prediction, truth)),
        "subvoxel": (partial(_ours, labels, SUBVOXEL), "surface-distance", partial(_deepmind, prediction, truth)),
    }


def _ours(labels: tuple[NDArray[np.uint8], NDArray[np.uint8]], names: tuple[str, ...]) -> list[float]:
    pair = LabelMapPair(*labels, SPACING).pair([1])
    return [metric(pair) for metric in chosen(names, [TOLERANCE]) if metric.name in names]


def _scipy(prediction: Mask, truth: Mask) -> list[float]:
    predicted, true = (mask & ~ndimage.binary_erosion(mask) for mask in (prediction, truth))
    to_truth = ndimage.distance_transform_edt(~true, sampling=SPACING)[predicted]
    to_prediction = ndimage.distance_transform_edt(~predicted, sampling=SPACING)[true]
    pooled = np.concatenate([to_truth, to_prediction])
    return [pooled.max(), np.percentile(pooled, 95), pooled.mean(), (pooled <= TOLERANCE).mean()]


def _deepmind(prediction: Mask, truth: Mask) -> list[float]:
    import surface_distance

    distances = surface_distance.compute_surface_distances(truth, prediction, SPACING)
    return [
        surface_distance.compute_robust_hausdorff(distances, 95),
        np.mean(surface_distance.compute_average_surface_distance(distances)),
        surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE),
    ]


if __name__ == "__main__":
    main()
