"""Effect of shared randomness on the variance of a difference, measured on a preprocessed data set.

Baseline and trick are trained for a few hundred steps, in several runs with and several without shared randomness. They
predict whole validation cases without a sliding window. The outcome of a training is the mean soft Dice of the
foreground classes over the cases. The benchmark compares how the differences trick - baseline scatter over the runs.

python -m benchmarks.shared_randomness Dataset501_Hippocampus 3d_fullres_tiny --trick DiceOHEM [--runs 5] [--steps 300]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

# This must be set before nnU-Net is imported.
os.environ.update({"nnUNet_n_proc_DA": "0", "nnUNet_compile": "f"})
DEVICE = "cpu"


def main() -> None:
    """Train, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    parser.add_argument("--trick", default="DiceOHEM")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    outcomes: dict[str, list[list[float]]] = {"shared": [], "apart": []}
    began = perf_counter()
    with tempfile.TemporaryDirectory() as results:
        os.environ.update({"nnUNet_results": results})
        for run in range(1, arguments.runs + 1):
            for mode, pairs in outcomes.items():
                tail = ("_shared" if mode == "shared" else "") + (f"_run{run}" if run > 1 else "")
                names = [f"nnUNetTrainer{trick}_1epochs{tail}" for trick in ("", arguments.trick)]
                pairs.append([_outcome(name, arguments) for name in names])
                print(f"run {run} {mode:6} baseline {pairs[-1][0]:.4f} trick {pairs[-1][1]:.4f}", flush=True)
    result: dict[str, Any] = {
        "dataset": arguments.dataset,
        "configuration": arguments.configuration,
        "trick": arguments.trick,
        "runs": arguments.runs,
        "steps": arguments.steps,
        "minutes": (perf_counter() - began) / 60,
    }
    result |= scatter(outcomes)
    low, high = result["variance_ratio_interval"]
    print(f"variance of the difference, shared over apart: {result['variance_ratio']:.2f} ({low:.2f} to {high:.2f})")
    if arguments.out:
        from benchmarks.measuring import save

        save(arguments.out, result)


def scatter(outcomes: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Any]:
    """Scatter of the outcomes and of their differences, and the ratio of variances with its 95 % interval.

    Args:
        outcomes: Pairs of baseline and trick, under ``shared`` and ``apart``.
    """
    from scipy.stats import f

    by_mode: dict[str, Any] = {}
    for mode, pairs in outcomes.items():
        baseline, trick = np.array(pairs).T
        by_mode[mode] = {
            "baseline": baseline.tolist(),
            "trick": trick.tolist(),
            "deviation_of_baseline": float(baseline.std(ddof=1)),
            "deviation_of_trick": float(trick.std(ddof=1)),
            "deviation_of_difference": float((trick - baseline).std(ddof=1)),
            "correlation": float(np.corrcoef(baseline, trick)[0, 1]),
        }
    # Separate runs have no partner, so the variance of their difference is the sum of both variances.
    parts = [by_mode["apart"][f"deviation_of_{name}"] ** 2 for name in ("baseline", "trick")]
    ratio = by_mode["shared"]["deviation_of_difference"] ** 2 / sum(parts)
    freedom_shared = len(outcomes["shared"]) - 1
    freedom_apart = sum(parts) ** 2 / sum(part**2 / (len(outcomes["apart"]) - 1) for part in parts)
    low, high = (float(ratio / f.ppf(end, freedom_shared, freedom_apart)) for end in (0.975, 0.025))
    return {**by_mode, "variance_ratio": ratio, "variance_ratio_interval": [low, high]}


def _outcome(name: str, arguments: argparse.Namespace) -> float:
    """Train, and compute the mean soft Dice over the validation cases and foreground classes."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    trainer = get_trainer_from_args(
        arguments.dataset, arguments.configuration, arguments.fold, name, "nnUNetPlans", device=torch.device(DEVICE)
    )
    trainer.num_iterations_per_epoch = arguments.steps
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    for step in range(arguments.steps):
        # nnU-Net's schedule, but in steps, because a single epoch would never lower the rate.
        trainer.optimizer.param_groups[0]["lr"] = trainer.initial_lr * (1 - step / arguments.steps) ** 0.9
        trainer.train_step(next(trainer.dataloader_train))
    return _soft_dice(trainer)


def _soft_dice(trainer: Any) -> float:
    import torch

    trainer.network.eval()
    trainer.set_deep_supervision_enabled(False)
    _, dataset = trainer.get_tr_and_val_datasets()
    scores = []
    for case in dataset.identifiers:
        data, labels = dataset.load_case(case)[:2]
        image, truth = torch.as_tensor(np.asarray(data))[None].float(), torch.as_tensor(np.asarray(labels))[0]
        missing = [-length % 16 for length in image.shape[2:]]
        padding = [end for length in reversed(missing) for end in (0, length)]
        with torch.no_grad():
            probabilities = trainer.network(torch.nn.functional.pad(image, padding))[0].softmax(0)
        without_padding = tuple(slice(length) for length in truth.shape)
        for label in range(1, len(probabilities)):
            predicted, true = probabilities[label][without_padding], (truth == label).float()
            scores.append(float(2 * (predicted * true).sum() / (predicted.sum() + true.sum())))
    return float(np.mean(scores))


if __name__ == "__main__":
    main()
