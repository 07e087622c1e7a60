"""What came out beside what a paper printed for the same comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nnunet_tricks.comparison.text_table import NOTHING, PrintedTable
from nnunet_tricks.experiment.design import BASELINE
from nnunet_tricks.experiment.printed import COLLAPSED, Printed
from nnunet_tricks.experiment.spec import Comparison

if TYPE_CHECKING:
    from nnunet_tricks.comparison.comparison_table import ComparisonTable
    from nnunet_tricks.comparison.scores import Score

OURS, PAPERS = "here", "printed"


def metrics_of(comparison: Comparison) -> list[str]:
    """Names, as we have them, of all metrics that the paper printed for a comparison."""
    if comparison.printed is None:
        return []
    return list(dict.fromkeys(name for names in comparison.printed.metrics.values() for name in names))


def beside(tables: Iterable[ComparisonTable], comparison: Comparison) -> Iterator[PrintedTable]:
    """A table for each data set and label that the paper has too.

    Args:
        tables: Tables of ``compare`` for the comparison.
        comparison: Comparison of an experiment file.
    """
    printed = comparison.printed
    for table in tables if printed else ():
        labels = list(table.rows[0].scores)
        for label in labels:
            # A single class needs no name in the paper's table; of several, only those that are named are in it.
            column = printed.column(table.group.dataset, label) if printed else None
            if printed and column is not None and (len(labels) == 1 or label in printed.named(table.group.dataset)):
                yield _table(table, label, comparison, printed, column)


def _table(table: ComparisonTable, label: str, comparison: Comparison, printed: Printed, column: str) -> PrintedTable:
    scores = {(row.method.trainer, row.method.configuration, row.method.plans): row.scores[label] for row in table.rows}
    metrics = [metric for metric in printed.metrics_of(column) if metric in table.rows[0].scores[label]]
    header = ["", *(f"{metric}, {source}" for metric in metrics for source in (OURS, PAPERS))]
    rows = []
    for name, method in comparison.ways.items():
        if method in scores and name in printed.labels:
            row = [name]
            for metric in metrics:
                times = printed.times[list(printed.metrics_of(column)).index(metric)]
                row += [_ours(scores[method], metric, times), _theirs(printed, column, name, metric)]
            rows.append(tuple(row))
    title = f"{table.group.dataset}, {label}, {table.group.part}, beside {printed.table} ({column})"
    note = f"Printed: {printed.source}. In the paper's units; signed: difference to the baseline of the same column."
    return PrintedTable(title, tuple(header), tuple(rows), note)


def _ours(scores: Mapping[str, Score], metric: str, times: float) -> str:
    score = scores[metric]
    if math.isnan(score.mean):
        return NOTHING
    signed = "" if score.difference is None else f" ({times * score.difference:+.2f})"
    return f"{times * score.mean:.2f}{signed}"


def _theirs(printed: Printed, column: str, arm: str, metric: str) -> str:
    value, baseline = (printed.value(column, name, metric) for name in (arm, BASELINE))
    if value is None or value == COLLAPSED:
        return str(value or NOTHING)
    if arm == BASELINE or not isinstance(baseline, float | int):
        return f"{float(value):.2f}"
    return f"{float(value):.2f} ({float(value) - baseline:+.2f})"
