"""Time of compare's statistics (300 cases, 3 classes, 20 trainers with 5 runs, 10,000 draws) and of compare --help.

Everything is measured in fresh processes, imports included. The baseline draws the same bootstrap of the same
differences with scipy, without tests, runs, ranks or verdicts.

python -m benchmarks.compare [--rounds 5] [--out benchmarks/results/compare.json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

CASES, CLASSES, TRAINERS, RUNS, FOLDS, DRAWS = 300, 3, 20, 5, 5, 10_000
LIMIT, HELP_LIMIT = 3.0, 0.3
"""Limits in seconds."""

OURS, BASELINE, NOTHING, HELP = "ours", "scipy", "python", "help"
COMMANDS = {
    NOTHING: [sys.executable, "-c", "pass"],
    HELP: [sys.executable, "-m", "nnunet_tricks.cli", "compare", "--help"],
}


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=(OURS, BASELINE))
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_statistics() if arguments.child == OURS else _scipy()))
        return
    measured: dict[str, list[dict[str, Any]]] = {OURS: [], BASELINE: []}
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(arguments.rounds):
        for name, rounds in measured.items():
            process = subprocess.run(
                [sys.executable, "-m", "benchmarks.compare", "--child", name],
                check=True,
                capture_output=True,
                text=True,
            )
            rounds.append(json.loads(process.stdout))
        for name, words in COMMANDS.items():
            began = perf_counter()
            subprocess.run(words, check=True, capture_output=True)
            seconds[name].append(perf_counter() - began)
    result = {
        "rows": measured[OURS][0]["rows"],
        "draws": DRAWS,
        "seconds": median(run["seconds"] for run in measured[OURS]),
        "cpu_seconds": median(run["cpu"] for run in measured[OURS]),
        "of which imports": median(run["imports"] for run in measured[OURS]),
        "at most": LIMIT,
        "scipy_seconds": median(run["seconds"] for run in measured[BASELINE]),
        "times faster": median(
            theirs["seconds"] / ours["seconds"] for ours, theirs in zip(measured[OURS], measured[BASELINE], strict=True)
        ),
        "torch imported": any(run["torch"] for run in measured[OURS]),
        "help_seconds": median(seconds[HELP]),
        "help_at_most": HELP_LIMIT,
        "python_seconds": median(seconds[NOTHING]),
    }
    for name, value in result.items():
        print(f"{name:20} {value:.3f}" if isinstance(value, float) else f"{name:20} {value}")
    if arguments.out:
        from benchmarks.measuring import save

        save(arguments.out, {"rounds": arguments.rounds, **result})


def _statistics() -> dict[str, Any]:
    began, began_cpu = perf_counter(), process_time()
    import numpy as np

    from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
    from nnunet_tricks.comparison.table import MetricRow

    imported, imported_cpu = perf_counter() - began, process_time() - began_cpu
    values = _values(np.random.default_rng(0))
    names = ["nnUNetTrainer", *(f"nnUNetTrainerTversky_alpha0p{number}1" for number in range(11, TRAINERS + 10))]
    rows = [
        MetricRow(
            dataset="Dataset001_Made",
            configuration="3d_fullres",
            plans="nnUNetPlans",
            trainer=name + (f"_run{run + 1}" if run else ""),
            fold=str(case % FOLDS),
            run=run + 1,
            part="validation",
            case=f"case_{case:03d}",
            label=f"class {label}",
            metric="Dice",
            value=float(values[place, run, label, case]),
            unit="1",
        )
        for place, name in enumerate(names)
        for run in range(RUNS)
        for label in range(CLASSES)
        for case in range(CASES)
    ]
    start, start_cpu = perf_counter(), process_time()
    statistics = analyse(rows, AnalysisOptions(draws=DRAWS))
    if len(statistics.tricks) != TRAINERS - 1 or statistics.baseline.runs != tuple(range(1, RUNS + 1)):
        raise SystemExit(f"the rows were read as {len(statistics.tricks)} tricks, not {TRAINERS - 1}, or other runs")
    return {
        "rows": len(rows),
        "imports": imported,
        "seconds": imported + perf_counter() - start,
        "cpu": imported_cpu + process_time() - start_cpu,
        "torch": "torch" in sys.modules,
    }


def _scipy() -> dict[str, Any]:
    began = perf_counter()
    import numpy as np
    from scipy import stats

    imported = perf_counter() - began
    means = _values(np.random.default_rng(0)).mean(1)
    start = perf_counter()
    for place in range(1, TRAINERS):
        for label in range(CLASSES):
            difference = means[place, label] - means[0, label]
            stats.bootstrap(
                [difference], np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(place)
            )
    return {"seconds": imported + perf_counter() - start}


def _values(generator: Any) -> Any:
    """Values, trainers x runs x classes x cases. Cases differ, tricks suit some of them, trainings and runs scatter."""
    anatomy = generator.normal(0.85, 0.08, (1, 1, CLASSES, CASES))
    suits = generator.normal(0, 0.03, (TRAINERS, 1, CLASSES, CASES))
    trainings = generator.normal(0, 0.01, (TRAINERS, RUNS, CLASSES, FOLDS))
    of_case = trainings[..., [case % FOLDS for case in range(CASES)]]
    return anatomy + suits + of_case + generator.normal(0, 0.02, (TRAINERS, RUNS, CLASSES, CASES))


if __name__ == "__main__":
    main()
