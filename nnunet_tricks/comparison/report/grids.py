"""Tables that only the report has, as words: header and rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nnunet_tricks.comparison import tables
from nnunet_tricks.comparison.report.view import View
from nnunet_tricks.comparison.statistics.model import Effect, Statistics

NOTHING = "-"


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


def number(value: float, unit: str = "1", *, signed: bool = False) -> str:
    """A value with three digits if it is a share, with two if it has a unit.

    Examples:
        >>> number(0.01234, signed=True), number(3.14159, "mm"), number(float("nan"))
        ('+0.012', '3.14', '-')
    """
    if not math.isfinite(value):
        return NOTHING
    return f"{value:{'+' if signed else ''}.{3 if unit == '1' else 2}f}"


def interval(effect: Effect) -> str:
    """The 95 % interval of a difference in brackets; empty where nothing is known."""
    ends = (effect.interval.low, effect.interval.high)
    if not all(map(math.isfinite, ends)):
        return ""
    return f"[{', '.join(number(end, effect.unit, signed=True) for end in ends)}]"


def chance(p: float) -> str:
    """A probability.

    Examples:
        >>> chance(0.0312), chance(0.00002), chance(float("nan"))
        ('0.031', '<0.001', '-')
    """
    if not math.isfinite(p):
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def verdicts(view: View) -> Grid:
    """What the differences are worth, as ``compare`` says it, and what the trick costs."""
    found = view.found
    header, rows = tables.verdicts(view.table)
    costs = {trick.name: trick.cost.epoch for trick in found.tricks}
    known = any(map(math.isfinite, costs.values()))
    made = []
    for trick, (_, *cells) in zip(found.tricks, rows, strict=True):
        ratio = costs[trick.name]
        made.append((trick.name, *cells, *([f"{ratio:.2f}" if math.isfinite(ratio) else NOTHING] if known else [])))
    title = f"{found.metric}, {found.label}"
    return Grid(title, ("trick", *header[1:], *(["time / baseline"] if known else [])), tuple(made))


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


def significance(found: Statistics) -> Grid:
    """All tests in metric and class of the verdicts: p, and in brackets after Holm's correction."""
    header = ("trick", "p with reruns", "permutation", "Wilcoxon", "t-test", "false claim", "detectable")
    rows = []
    for trick in found.tricks:
        effect = found.primary(trick)
        every = (effect.p, effect.permutation, effect.wilcoxon, effect.t_test)
        cells = [f"{chance(test.p)} ({chance(test.holm)})" for test in every]
        claim = effect.false_claim if effect.has_runs else effect.false_claim_cases
        rows.append((trick.name, *cells, chance(claim), number(effect.detectable, effect.unit)))
    return Grid(f"{found.metric}, {found.label}", header, tuple(rows))


def subgroups(view: View) -> Grid | None:
    """The difference of each trick in each subgroup; None if cases were not sorted."""
    if not view.subgroups:
        return None
    every = [("all", view.table), *view.subgroups.items()]
    header = ["trick"]
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
