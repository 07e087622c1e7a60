"""What came out beside what a paper printed for the same comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_tricks.experiment.design import BASELINE
from nnunet_tricks.experiment.printed import COLLAPSED, Printed
from nnunet_tricks.experiment.spec import Comparison

if TYPE_CHECKING:
    from nnunet_tricks.comparison.compare import Table
    from nnunet_tricks.comparison.scores import Score

OURS, PAPERS = "here", "printed"


@dataclass(frozen=True)
class Beside:
    """Our numbers and a paper's, in the paper's units.

    Attributes:
        title: Data set, label and table.
        header: Of the columns.
        rows: One for each way of training that the paper has too.
        note: What has to be known to read it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str

    @property
    def markdown(self) -> str:
        """It as Markdown."""
        lines = [self.header, ("---", *("---:" for _ in self.header[1:])), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.title}\n\n{table}\n\n- {self.note}\n"


def metrics_of(comparison: Comparison) -> list[str]:
    """Our names of all that the paper printed for a comparison."""
    if comparison.printed is None:
        return []
    return list(dict.fromkeys(name for names in comparison.printed.metrics.values() for name in names))


def beside(tables: Iterable[Table], comparison: Comparison) -> Iterator[Beside]:
    """A table for each data set and label that the paper has too.

    Args:
        tables: What ``compare`` made of the comparison.
        comparison: Of an experiment file.
    """
    printed = comparison.printed
    for table in tables if printed else ():
        labels = list(table.rows[0].scores)
        for label in labels:
            # A single class needs no name in the paper's table; of several, only those that are named are in it.
            column = printed.column(table.group.dataset, label) if printed else None
            if printed and column is not None and (len(labels) == 1 or label in printed.named(table.group.dataset)):
                yield _table(table, label, comparison, printed, column)


def _table(table: Table, label: str, comparison: Comparison, printed: Printed, column: str) -> Beside:
    scores = {(row.method.trainer, row.method.configuration, row.method.plans): row.scores[label] for row in table.rows}
    metrics = [metric for metric in printed.metrics_of(column) if metric in table.rows[0].scores[label]]
    header = ["", *(f"{metric}, {which}" for metric in metrics for which in (OURS, PAPERS))]
    rows = []
    for way, trained in comparison.ways.items():
        if trained in scores and way in printed.labels:
            row = [way]
            for metric in metrics:
                times = printed.times[list(printed.metrics_of(column)).index(metric)]
                row += [_ours(scores[trained], metric, times), _theirs(printed, column, way, metric)]
            rows.append(tuple(row))
    title = f"{table.group.dataset}, {label}, {table.group.part}, beside {printed.table} ({column})"
    note = f"Printed: {printed.source}. In the paper's units; signed: difference to the baseline of the same column."
    return Beside(title, tuple(header), tuple(rows), note)


def _ours(scores: Mapping[str, Score], metric: str, times: float) -> str:
    score = scores[metric]
    if math.isnan(score.mean):
        return "-"
    signed = "" if score.difference is None else f" ({times * score.difference:+.2f})"
    return f"{times * score.mean:.2f}{signed}"


def _theirs(printed: Printed, column: str, arm: str, metric: str) -> str:
    value, baseline = (printed.value(column, which, metric) for which in (arm, BASELINE))
    if value is None or value == COLLAPSED:
        return str(value or "-")
    if arm == BASELINE or not isinstance(baseline, float | int):
        return f"{float(value):.2f}"
    return f"{float(value):.2f} ({float(value) - baseline:+.2f})"
