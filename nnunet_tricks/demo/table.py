"""The table that the demo ends with."""

from __future__ import annotations

from collections.abc import Mapping

Scores = Mapping[str, Mapping[str, float | None]]
"""A number for each class and score, or None where it is not defined."""


def as_text(scores: Mapping[str, Scores]) -> str:
    """A plain-text table, one row for each class and trainer.

    Args:
        scores: Scores of each trainer, the baseline first.

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
            compared = scores[baseline][name] if trainer != baseline else {}
            rows.append([name, trainer, *(_cell(its[name][score], compared.get(score)) for score in columns)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cell(value: float | None, baseline: float | None) -> str:
    """A number and its signed difference from the baseline's, always of the same width."""
    number = "  -  " if value is None else f"{value:.3f}"
    difference = "" if value is None or baseline is None else f"{value - baseline:+.3f}"
    return f"{number}  {difference:6}"
