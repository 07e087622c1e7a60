"""Long tables with known differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnunet_tricks.comparison.table import MetricRow

BASELINE, TRICK, OTHER = "nnUNetTrainer_9epochs", "nnUNetTrainerTversky_9epochs", "nnUNetTrainerCE_9epochs"


def rows_of(
    arrays: Mapping[str, np.ndarray],
    *,
    folds: int | Sequence[str] = 2,
    metric: str = "Dice",
    unit: str = "1",
    labels: Sequence[str] = ("organ",),
    dataset: str = "Dataset001_Made",
    part: str = "validation",
) -> list[MetricRow]:
    """The rows of arrays of runs x cases, or runs x classes x cases, by trainer."""
    rows = []
    for trainer, array in arrays.items():
        array = np.asarray(array, float)
        array = array[:, None] if array.ndim == 2 else array
        for run in range(len(array)):
            for place, label in enumerate(labels):
                for case, value in enumerate(array[run, place]):
                    rows.append(
                        MetricRow(
                            dataset=dataset,
                            configuration="3d",
                            plans="nnUNetPlans",
                            trainer=trainer + (f"_run{run + 1}" if run else ""),
                            fold=str(case % folds) if isinstance(folds, int) else folds[case],
                            run=run + 1,
                            part=part,
                            case=f"case_{case:03d}",
                            label=label,
                            metric=metric,
                            value=float(value),
                            unit=unit,
                        )
                    )
    return rows


def noisy(
    generator: np.random.Generator, runs: int, cases: int, *, gain: float = 0.0, training: float = 0.01, folds: int = 2
) -> np.ndarray:
    """Runs x cases; the same cases for the same generator state are not asked for."""
    of_case = 0.8 + 0.1 * np.sin(np.arange(cases))
    trainings = generator.normal(0, training, (runs, folds))[:, np.arange(cases) % folds]
    return of_case + gain + trainings + generator.normal(0, 0.02, (runs, cases))
