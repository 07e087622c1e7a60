"""Cost of a report with 10,000 cases, and with 40 tricks: time, processor time and peak memory of fresh processes.

Each report has 3 classes and 5 metrics with traits, two runs of every method, and five folds. The report of 10,000
cases has two tricks. The time covers everything from rows and facts to the whole folder, and its verification.

python -m benchmarks.report [--rounds 3] [--out benchmarks/results/report.json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

CLASSES, RUNS, FOLDS, EPOCHS = 3, 2, 5, 100
METRICS = {"Dice": "1", "IoU": "1", "recall": "1", "precision": "1", "HD95": "mm"}


@dataclass(frozen=True)
class Size:
    """Size of a report, with the limits for writing it.

    Attributes:
        cases: Number of cases.
        tricks: Number of tricks beside the baseline.
        seconds: Limit of the time to write it.
        gigabytes: Limit of the memory.
    """

    cases: int
    tricks: int
    seconds: float
    gigabytes: float


SIZES = {"10,000 cases": Size(10_000, 2, 40.0, 1.2), "40 tricks": Size(100, 40, 40.0, 1.2)}


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=SIZES)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_written(SIZES[arguments.child], arguments.folder)))
        return
    results = {name: _measured(name, size, arguments.rounds) for name, size in SIZES.items()}
    if arguments.out:
        from benchmarks.measuring import save

        save(arguments.out, {"rounds": arguments.rounds, "reports": results})


def _measured(name: str, size: Size, rounds: int) -> dict[str, Any]:
    runs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            words = ["-m", "benchmarks.report", "--child", name, "--folder", folder]
            process = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
            runs.append(json.loads(process.stdout) | {"warnings": process.stderr.strip()})
            began = perf_counter()
            subprocess.run(
                [sys.executable, "-m", "nnunet_tricks.cli", "verify", folder], check=True, capture_output=True
            )
            runs[-1]["verify_seconds"] = perf_counter() - began
    result = {
        "rows": runs[0]["rows"],
        **{key: median(run[key] for run in runs) for key in ("seconds", "cpu", "gigabytes", "verify_seconds")},
        "seconds at most": size.seconds,
        "gigabytes at most": size.gigabytes,
        "warnings": max(run["warnings"] for run in runs),
    }
    print(
        name, *(f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in result.items())
    )
    return result


def _written(size: Size, folder: Path) -> dict[str, Any]:
    from nnunet_tricks.comparison.report.render import write

    rows, facts = made(size.cases, size.tricks)
    began, began_cpu = perf_counter(), process_time()
    write(folder, rows, facts)
    return {
        "rows": len(rows),
        "seconds": perf_counter() - began,
        "cpu": process_time() - began_cpu,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def made(cases: int, tricks: int) -> tuple[list[Any], Any]:
    """Rows and facts of a report. Cases differ, tricks suit some of them, trainings and runs scatter."""
    import numpy as np

    from nnunet_tricks.comparison.curves import EpochLog
    from nnunet_tricks.comparison.report.facts import Facts, ReportMethod, ReportQuestion, ReportSection, TrainingLog
    from nnunet_tricks.comparison.table import MetricRow

    generator = np.random.default_rng(0)
    names = ["nnUNetTrainer", *(f"nnUNetTrainerTversky_alpha0p{number + 100}1" for number in range(tricks))]
    labels = [f"class {number}" for number in range(CLASSES)]
    shape = (len(names), RUNS, CLASSES, cases)
    values = generator.normal(0.85, 0.08, (1, 1, CLASSES, cases)) + generator.normal(0, 0.03, (len(names), 1, 1, cases))
    values = np.clip(values + generator.normal(0, 0.02, shape), 0, 1)
    rows = [
        MetricRow(
            dataset="Dataset001_Made",
            configuration="3d_fullres",
            plans="nnUNetPlans",
            trainer=name + (f"_run{run + 1}" if run else ""),
            fold=str(case % FOLDS),
            run=run + 1,
            part="validation",
            case=f"case_{case:05d}",
            label=label,
            metric=metric,
            value=float(values[place, run, number, case]) * (1 if unit == "1" else 20),
            unit=unit,
        )
        for place, name in enumerate(names)
        for run in range(RUNS)
        for case in range(cases)
        for number, label in enumerate(labels)
        for metric, unit in METRICS.items()
    ]
    curve = tuple(
        EpochLog(number, 1 - number / EPOCHS, 1.1 - number / EPOCHS, number / EPOCHS) for number in range(EPOCHS)
    )
    trainings = tuple(
        TrainingLog(fold=str(fold), run=run + 1, epochs=curve) for fold in range(FOLDS) for run in range(RUNS)
    )
    traits = generator.lognormal(3, 1, (cases, CLASSES, 4))
    section = ReportSection(
        name="",
        dataset="Dataset001_Made",
        part="validation",
        folds=tuple(map(str, range(FOLDS))),
        classes=tuple(labels),
        metrics=tuple(METRICS),
        ways=tuple(
            ReportMethod(
                name=name,
                trainer=name,
                plans="nnUNetPlans",
                configuration="3d_fullres",
                runs=tuple(range(1, RUNS + 1)),
                seconds=20.0 + place,
                trainings=trainings,
            )
            for place, name in enumerate(names)
        ),
        traits={
            f"case_{case:05d}": {
                label: dict(zip(("size", "count", "contrast", "spacing"), map(float, of_case[number]), strict=True))
                for number, label in enumerate(labels)
            }
            for case, of_case in enumerate(traits)
        },
    )
    return rows, Facts(question=ReportQuestion(name="made"), sections=(section,), draws=10_000, seed=0)


if __name__ == "__main__":
    main()
