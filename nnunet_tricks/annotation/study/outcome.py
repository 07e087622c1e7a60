"""What the trainings of a study reached: intersection over union of whole validation cases, as a table."""

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
    """One training and one label.

    Attributes:
        trainer: Its name.
        density: Share of slices.
        volumes: Share of volumes.
        policy: Which slices.
        interpolated: Whether the others got masks.
        run: Number of the repetition.
        slices: That were annotated.
        cost: Of them.
        label: Name of a label or region, or ``mean`` over them.
        iou: Mean over the validation cases in which truth or prediction have it.
        pooled: Over all their voxels together.
        cases: That the mean is over.
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
    """A training's rows.

    Args:
        trainer: Its name.
        run: Number of the repetition.
        point: Its setting.
        amount: What it needs.
        summary: nnU-Net's ``summary.json``, of whole cases.
    """
    found = []
    for label in summary["mean"]:
        metrics = [case["metrics"][label] for case in summary["metric_per_case"]]
        there = [one["IoU"] for one in metrics if not math.isnan(one["IoU"])]
        hit = sum(one["TP"] for one in metrics)
        union = hit + sum(one["FP"] + one["FN"] for one in metrics)
        found.append((str(label), _mean(there), hit / union if union else math.nan, len(there)))
    found.append(
        ("mean", _mean([one[1] for one in found]), _mean([one[2] for one in found]), min(one[3] for one in found))
    )
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
        for label, iou, pooled, cases in found
    ]


def label_keys(labels: Mapping[str, Any]) -> dict[str, str]:
    """How nnU-Net's summaries call labels and regions, by their names.

    Args:
        labels: Of ``dataset.json``.

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
    """The table as csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(TrainingRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def read(file: Path) -> list[TrainingRow]:
    """The table of ``write``."""
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
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan
