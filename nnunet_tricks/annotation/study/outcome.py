"""Results of a study's trainings: intersection over union of whole validation cases, as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nnunet_tricks.annotation.study.costs import Amount
from nnunet_tricks.annotation.study.design import Point


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """Result of one training for one label.

    Attributes:
        trainer: Name of the trainer.
        density: Share of slices.
        volumes: Share of volumes.
        policy: Policy by which slices were chosen.
        interpolated: Whether the other slices got masks.
        run: Number of the repetition.
        slices: Number of annotated slices.
        cost: Cost of their annotation.
        label: Name of a label or region, or ``mean`` over them.
        iou: Mean over the validation cases in which truth or prediction show the label.
        pooled: Intersection over union over the voxels of all cases together.
        cases: Number of cases in the mean.
    """

    trainer: str
    density: float
    volumes: float
    policy: str
    interpolated: bool
    run: int
    slices: int
    cost: float
    label: str
    iou: float
    pooled: float
    cases: int


def rows_of(trainer: str, run: int, point: Point, amount: Amount, summary: Mapping[str, Any]) -> list[TrainingRow]:
    """Make the rows of a training.

    Args:
        trainer: Name of the trainer.
        run: Number of the repetition.
        point: Setting of the training.
        amount: Annotation that it needs.
        summary: nnU-Net's ``summary.json`` of whole cases.
    """
    results = []
    for label in summary["mean"]:
        metrics = [case["metrics"][label] for case in summary["metric_per_case"]]
        values = [of_case["IoU"] for of_case in metrics if not math.isnan(of_case["IoU"])]
        hit = sum(of_case["TP"] for of_case in metrics)
        union = hit + sum(of_case["FP"] + of_case["FN"] for of_case in metrics)
        results.append((str(label), _mean(values), hit / union if union else math.nan, len(values)))
    means, pooled_values, counts = (list(column) for column in zip(*(result[1:] for result in results), strict=True))
    results.append(("mean", _mean(means), _mean(pooled_values), min(counts)))
    return [
        TrainingRow(
            trainer=trainer,
            density=point.density,
            volumes=point.volumes,
            policy=point.policy,
            interpolated=point.interpolated,
            run=run,
            slices=amount.slices,
            cost=amount.cost,
            label=label,
            iou=round(iou, 6),
            pooled=round(pooled, 6),
            cases=cases,
        )
        for label, iou, pooled, cases in results
    ]


def label_keys(labels: Mapping[str, Any]) -> dict[str, str]:
    """Keys of labels and regions in nnU-Net's summaries, by their names.

    Args:
        labels: Labels of ``dataset.json``.

    Examples:
        >>> label_keys({"background": 0, "kidney": [1, 2], "tumour": 2, "ignore": 3})
        {'kidney': '(1, 2)', 'tumour': '2'}
    """
    left_out = ("background", "ignore")
    return {
        name: str(tuple(value)) if isinstance(value, list) else str(value)
        for name, value in labels.items()
        if name not in left_out
    }


def write(rows: Sequence[TrainingRow]) -> str:
    """Write the table as csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(TrainingRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def read(file: Path) -> list[TrainingRow]:
    """Read a table from ``write``."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            TrainingRow(
                trainer=row["trainer"],
                density=float(row["density"]),
                volumes=float(row["volumes"]),
                policy=row["policy"],
                interpolated=row["interpolated"] == "True",
                run=int(row["run"]),
                slices=int(row["slices"]),
                cost=float(row["cost"]),
                label=row["label"],
                iou=float(row["iou"]),
                pooled=float(row["pooled"]),
                cases=int(row["cases"]),
            )
            for row in csv.DictReader(lines)
        ]


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
