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
        metrics: Column -> our names of what each of its rows holds; the empty column stands for all others.
        times: How often our number the printed ones are: 100 for percent.
        datasets: Data set of ours -> label or region -> column of the table.
        labels: Arm -> row of the table.
        rows: Column -> row -> numbers, ``collapsed``, or None where nothing is printed.
    """

    source: str
    table: str
    metrics: Mapping[str, Sequence[str]]
    times: Sequence[float]
    datasets: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]
    rows: Mapping[str, Mapping[str, Sequence[float | str | None]]]

    def column(self, dataset: str, label: str) -> str | None:
        """The column of a label or region of a data set of ours, if there is one."""
        columns = self._columns(dataset)
        return columns.get(label, columns.get(WHOLE))

    def named(self, dataset: str) -> Sequence[str]:
        """The labels and regions of a data set of ours that the table tells apart."""
        return [label for label in self._columns(dataset) if label != WHOLE]

    def metrics_of(self, column: str) -> Sequence[str]:
        """Our names of what a column's rows hold."""
        return self.metrics.get(column, self.metrics[WHOLE])

    def value(self, column: str, arm: str, metric: str) -> float | str | None:
        """The printed number, ``collapsed``, or None where there is none.

        Args:
            column: Of the table.
            arm: What the experiment calls the way of training.
            metric: Our name of one of the column's.
        """
        row, metrics = self.labels.get(arm), list(self.metrics_of(column))
        numbers = self.rows.get(column, {}).get(row or "")
        return numbers[metrics.index(metric)] if numbers and metric in metrics else None

    def _columns(self, dataset: str) -> Mapping[str, str]:
        number = dataset.removeprefix("Dataset").partition("_")[0].lstrip("0")
        known = {name.removeprefix("Dataset").partition("_")[0].lstrip("0"): name for name in self.datasets}
        return self.datasets[known[number]] if number in known else {}


def read_printed(file: Path, entry: Entry, ways: Sequence[str], needs: Sequence[str]) -> Printed:
    """The part of an experiment file that says what was published.

    Args:
        file: The experiment file; the tables lie relative to it.
        entry: Its key ``published``.
        ways: What the comparison's ways to train are called.
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
        if arm not in ways and arm not in needs:
            raise row.error(
                f"'{arm}' is none of the ways to train ({', '.join(ways)}) and not under 'needs'{nearest(arm, ways)}"
            )
        labels[arm] = row.choice(rows)
    return Printed(content["source"], table, content["metrics"], content["times"], datasets, labels, printed)


def _load(entry: Entry, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise entry.error(f"{file} is not there") from error
    except ValueError as error:
        raise entry.error(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not {"source", "metrics", "times", "tables"} <= set(content):
        raise entry.error(f"{file} holds no printed tables: it needs 'source', 'metrics', 'times' and 'tables'")
    return content
