"""The table that the demo ends with."""

from __future__ import annotations

import math
from collections.abc import Mapping

Scores = Mapping[str, Mapping[str, float]]
"""A number for each class and score."""


def as_text(scores: Mapping[str, Scores]) -> str:
    """A plain-text table, one row for each class and trainer.

    Args:
        scores: Of each trainer, the baseline first.

    Examples:
        >>> print(as_text({"A": {"kidney": {"Dice": 0.8}}, "B": {"kidney": {"Dice": 0.85}}}))
        class   trainer            Dice
        kidney  A         0.800
        kidney  B         0.850  +0.050
    """
    baseline = next(iter(scores))
    columns = list(next(iter(scores[baseline].values())))
    rows = [["class", "trainer", *columns]]
    for name in scores[baseline]:
        for trainer, its in scores.items():
            cells = []
            for score in columns:
                difference = its[name][score] - scores[baseline][name][score]
                cells.append(f"{_number(its[name][score])}  {_signed(difference) if trainer != baseline else '':6}")
            rows.append([name, trainer, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _number(value: float) -> str:
    return "  -  " if math.isnan(value) else f"{value:.3f}"


def _signed(difference: float) -> str:
    return "" if math.isnan(difference) else f"{difference:+.3f}"
