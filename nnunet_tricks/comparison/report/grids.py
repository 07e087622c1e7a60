"""Tables that only the report has, as words: header and rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nnunet_tricks.comparison import tables, worth
from nnunet_tricks.comparison.report.view import View
from nnunet_tricks.comparison.statistics.model import Effect, Statistics
from nnunet_tricks.comparison.worth import number


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        title: What it shows.
        header: Of the columns; the first holds names.
        rows: As wide as the header.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def interval(effect: Effect) -> str:
    """The 95 % interval of a difference in brackets; empty where nothing is known."""
    ends = (effect.interval.low, effect.interval.high)
    if not all(map(math.isfinite, ends)):
        return ""
    return f"[{', '.join(number(end, effect.unit, signed=True) for end in ends)}]"


def of_cells(title: str, cells: worth.Cells) -> Grid:
    """A table of header and rows."""
    header, rows = cells
    return Grid(title, tuple(header), tuple(map(tuple, rows)))


def verdicts(view: View) -> Grid:
    """What the differences are worth, as ``compare`` says it, and what the trick costs."""
    found = view.found
    header, rows = worth.verdicts(found)
    costs = [trick.cost.epoch for trick in found.tricks]
    if any(map(math.isfinite, costs)):
        header.append("time / baseline")
        for row, ratio in zip(rows, costs, strict=True):
            row.append(f"{ratio:.2f}" if math.isfinite(ratio) else worth.NOTHING)
    return of_cells(f"{found.metric}, {found.label}", (header, rows))


def scores(view: View, label: str) -> Grid:
    """Means and differences of one class, as ``compare`` says them."""
    header, rows = tables.cells(view.table, label)
    short = [view.names[way.name] for way in view.section.ways]
    made = [
        (f"{name}{row[0].removeprefix(way.name)}", *row[1:])
        for name, row, way in zip(short, rows, view.section.ways, strict=True)
    ]
    return Grid(label, tuple(header), tuple(made))


def costs(view: View) -> Grid:
    """What the trainings took, as ``compare`` says it."""
    header, rows = tables.costs(view.table)
    made = tuple((view.names[row[0]], *row[1:]) for row in rows)
    return Grid("cost", tuple(header), made)


def subgroups(view: View) -> Grid | None:
    """The difference of each trick in each subgroup; None if cases were not sorted."""
    if not view.subgroups:
        return None
    every = [("all", view.table), *view.subgroups.items()]
    header = ["method"]
    rows = [[trick.name] for trick in view.found.tricks]
    for value, table in every:
        found = table.statistics
        if found is None:
            continue
        effects = [found.primary(trick) for trick in found.tricks]
        header.append(f"{value} ({max(effect.cases for effect in effects)} cases)")
        for row, effect in zip(rows, effects, strict=True):
            row.append(f"{number(effect.difference, effect.unit, signed=True)} {interval(effect)}".strip())
    return Grid(f"{view.found.metric}, {view.found.label}", tuple(header), tuple(map(tuple, rows)))


def calibration(found: Statistics) -> Grid | None:
    """Calibration where probabilities were kept."""
    rows = tuple(
        (one.name, number(one.calibration.ece), number(one.calibration.brier), str(one.calibration.cases))
        for one in (found.baseline, *found.tricks)
        if one.calibration
    )
    return Grid("calibration", ("method", "ECE", "Brier", "cases"), rows) if rows else None
