"""What a paper printed for a comparison, to stand beside what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.experiment.entry import Entry, nearest

COLLAPSED = "collapsed"
"""A model that predicts nothing; the papers print NaN."""

WHOLE = ""
"""Stands for the one label of a data set that has no more."""


@dataclass(frozen=True)
class Printed:
    """One table of a paper.

    Attributes:
        source: The paper.
        table: As it numbers them.
        metrics: What each row of numbers holds, in percent unless the metric's name says otherwise.
        datasets: Data set of ours -> label or region -> column of the table.
        labels: Arm -> row of the table.
        rows: Column -> row -> numbers, ``collapsed``, or None where nothing is printed.
    """

    source: str
    table: str
    metrics: tuple[str, ...]
    datasets: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]
    rows: Mapping[str, Mapping[str, Sequence[float | str | None]]]

    def value(self, dataset: str, label: str, arm: str, metric: str) -> float | str | None:
        """The printed number, ``collapsed``, or None where there is none.

        Args:
            dataset: Number or full name of ours.
            label: Name of a label or region.
            arm: What the experiment calls the way of training.
            metric: One of ``metrics``.
        """
        columns = self._columns(dataset)
        column = columns.get(label, columns.get(WHOLE))
        row = self.labels.get(arm)
        if column is None or row is None or metric not in self.metrics:
            return None
        numbers = self.rows.get(column, {}).get(row)
        return numbers[self.metrics.index(metric)] if numbers else None

    def _columns(self, dataset: str) -> Mapping[str, str]:
        number = dataset.removeprefix("Dataset").partition("_")[0].lstrip("0")
        known = {name.removeprefix("Dataset").partition("_")[0].lstrip("0"): name for name in self.datasets}
        return self.datasets[known[number]] if number in known else {}


def read_printed(file: Path, entry: Entry, arms: Sequence[str], needs: Sequence[str]) -> Printed:
    """The part of an experiment file that says what was published.

    Args:
        file: The experiment file; the tables lie relative to it.
        entry: Its key ``published``.
        arms: Labels of the comparison's arms.
        needs: What does not exist yet: rows may already be named for it.

    Raises:
        SpecError: If the tables do not have what it names.
    """
    fields = entry.fields(("file", "table", "datasets", "rows"))
    for key in ("file", "table", "datasets", "rows"):
        if key not in fields:
            raise entry.error(f"'published' says no '{key}'")
    content = _load(fields["file"], file.parent / fields["file"].text())
    table = fields["table"].choice(list(content["tables"]))
    printed = content["tables"][table]
    datasets: dict[str, dict[str, str]] = {}
    for name, columns in fields["datasets"].fields().items():
        chosen = columns.fields() if isinstance(columns.value, dict) else {WHOLE: columns}
        datasets[name] = {label: column.choice(list(printed)) for label, column in chosen.items()}
    columns_used = {column for chosen in datasets.values() for column in chosen.values()}
    rows = list(dict.fromkeys(row for column in sorted(columns_used) for row in printed[column]))
    labels = {}
    for arm, row in fields["rows"].fields().items():
        if arm not in arms and arm not in needs:
            raise row.error(
                f"'{arm}' is none of the ways to train ({', '.join(arms)}) and not under 'needs'{nearest(arm, arms)}"
            )
        labels[arm] = row.choice(rows)
    return Printed(content["source"], table, tuple(content["metrics"]), datasets, labels, printed)


def _load(entry: Entry, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise entry.error(f"{file} is not there") from error
    except ValueError as error:
        raise entry.error(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not {"source", "metrics", "tables"} <= set(content):
        raise entry.error(f"{file} holds no printed tables: it needs 'source', 'metrics' and 'tables'")
    return content
