"""The numbers that a paper printed for a comparison, to show beside our results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.experiment.entry import Entry, nearest

COLLAPSED = "collapsed"
"""Stands for a model that predicts nothing, where the papers print NaN."""

WHOLE = ""
"""Stands for the only label of a data set."""


@dataclass(frozen=True)
class Printed:
    """One table of a paper.

    Attributes:
        source: The paper.
        table: Number of the table in the paper.
        metrics: Our names of the numbers in each row, by column; the empty column stands for all others.
        times: Factors from our numbers to the printed ones: 100 for percent.
        datasets: Columns of the table, by our data set and then by label or region.
        labels: Rows of the table, by arm.
        rows: Numbers by column and row, ``collapsed``, or None where nothing is printed.
    """

    source: str
    table: str
    metrics: Mapping[str, Sequence[str]]
    times: Sequence[float]
    datasets: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]
    rows: Mapping[str, Mapping[str, Sequence[float | str | None]]]

    def column(self, dataset: str, label: str) -> str | None:
        """The column of a label or region of our data set; None if there is none."""
        columns = self._columns(dataset)
        return columns.get(label, columns.get(WHOLE))

    def named(self, dataset: str) -> Sequence[str]:
        """The labels and regions of our data set that have their own columns."""
        return [label for label in self._columns(dataset) if label != WHOLE]

    def metrics_of(self, column: str) -> Sequence[str]:
        """Our names of the numbers in a column's rows."""
        return self.metrics.get(column, self.metrics[WHOLE])

    def value(self, column: str, arm: str, metric: str) -> float | str | None:
        """The printed number, ``collapsed``, or None where there is none.

        Args:
            column: Column of the table.
            arm: Label of the way to train.
            metric: Our name of one of the column's metrics.
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
        file: The experiment file; paths of tables are relative to it.
        entry: Value of its key ``published``.
        ways: Labels of the comparison's ways to train.
        needs: Tricks that do not exist yet, whose rows may be named already.

    Raises:
        SpecError: If it names something that is not in the tables.
    """
    fields = entry.fields(("file", "table", "datasets", "rows"))
    for key in ("file", "table", "datasets", "rows"):
        if key not in fields:
            raise entry.error(f"'published' needs '{key}'")
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
                f"'{arm}' is neither a way to train ({', '.join(ways)}) nor under 'needs'{nearest(arm, ways)}"
            )
        labels[arm] = row.choice(rows)
    return Printed(content["source"], table, content["metrics"], content["times"], datasets, labels, printed)


def _load(entry: Entry, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise entry.error(f"{file} does not exist") from error
    except ValueError as error:
        raise entry.error(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not {"source", "metrics", "times", "tables"} <= set(content):
        raise entry.error(f"{file} is not a file of printed tables: it needs 'source', 'metrics', 'times' and 'tables'")
    return content
