"""Tables that only the report has, and those of ``compare`` under the names of the figures."""

from __future__ import annotations

import math
from dataclasses import replace

from nnunet_tricks.comparison import tables, worth
from nnunet_tricks.comparison.report.view import SectionView
from nnunet_tricks.comparison.statistics.model import Effect, Statistics
from nnunet_tricks.comparison.text_table import NOTHING, PrintedTable
from nnunet_tricks.comparison.worth import number


def interval(effect: Effect) -> str:
    """The 95 % interval of a difference in brackets; empty where nothing is known."""
    ends = (effect.interval.low, effect.interval.high)
    if not all(map(math.isfinite, ends)):
        return ""
    return f"[{', '.join(number(end, effect.unit, signed=True) for end in ends)}]"


def verdicts(view: SectionView) -> PrintedTable:
    """What the differences are worth, as ``compare`` says it, and what the trick costs."""
    statistics = view.statistics
    table = worth.verdicts(statistics)
    ratios = [trick.cost.time for trick in statistics.tricks]
    if not any(map(math.isfinite, ratios)):
        return table
    rows = [
        (*row, f"{ratio:.2f}" if math.isfinite(ratio) else NOTHING)
        for row, ratio in zip(table.rows, ratios, strict=True)
    ]
    return replace(table, header=(*table.header, "time / baseline"), rows=tuple(rows))


def scores(view: SectionView, label: str) -> PrintedTable:
    """Means and differences of one class, as ``compare`` says them."""
    return tables.scores(view.table, label, view.names)


def costs(view: SectionView) -> PrintedTable:
    """What the trainings took, as ``compare`` says it."""
    return tables.costs(view.table, view.names)


def subgroups(view: SectionView) -> PrintedTable | None:
    """The difference of each trick in each subgroup; None if cases were not sorted."""
    if not view.subgroups:
        return None
    header = ["method"]
    rows = [[trick.name] for trick in view.statistics.tricks]
    for value, table in (("all", view.table), *view.subgroups.items()):
        statistics = table.statistics
        effects = [statistics.primary(trick) for trick in statistics.tricks]
        header.append(f"{value} ({max(effect.cases for effect in effects)} cases)")
        for row, effect in zip(rows, effects, strict=True):
            row.append(f"{number(effect.difference, effect.unit, signed=True)} {interval(effect)}".strip())
    title = f"{view.statistics.metric}, {view.statistics.label}"
    return PrintedTable(title, tuple(header), tuple(map(tuple, rows)))


def calibration(statistics: Statistics) -> PrintedTable | None:
    """Calibration where probabilities were kept; None where they were not."""
    rows = tuple(
        (
            method.name,
            number(method.calibration.ece),
            number(method.calibration.brier),
            str(method.calibration.cases),
        )
        for method in (statistics.baseline, *statistics.tricks)
        if method.calibration
    )
    return PrintedTable("calibration", ("method", "ECE", "Brier", "cases"), rows) if rows else None
