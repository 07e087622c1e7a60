"""Whether each row of the ledger is what its report says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.ledger.adding import DIGITS, rows_from
from nnunet_tricks.comparison.ledger.rows import Ledger

TOLERANCE = 2 * 10.0**-DIGITS
"""Difference that rounding on another processor may make."""


@dataclass(frozen=True)
class RowsCheck:
    """What became of the rows of one report.

    Attributes:
        report: Id of the report.
        good: Whether the report verifies and all rows are the same.
        words: What was found, in words.
        absent: Whether the report is not at hand.
    """

    report: str
    good: bool
    words: str
    absent: bool = False


def check_rows(ledger: Ledger, root: Path) -> list[RowsCheck]:
    """Compute all rows again.

    Args:
        ledger: The ledger.
        root: Folder of the checkout with the reports.
    """
    return [_check(ledger, report.id, root) for report in ledger.reports]


def _check(ledger: Ledger, report: str, root: Path) -> RowsCheck:
    if not (root / report).is_dir():
        return RowsCheck(report, good=False, words=f"is not below {root.resolve()}", absent=True)
    try:
        made = rows_from(root / report, root)
    except ValueError as error:
        return RowsCheck(report, good=False, words=str(error))
    kept = Ledger(
        (ledger.by_id[report],),
        tuple(row for row in ledger.rows if row.report == report),
        tuple(row for row in ledger.interactions if row.report == report),
    )
    differences = list(_differences(kept, made))
    if differences:
        return RowsCheck(report, good=False, words=differences[0])
    return RowsCheck(report, good=True, words=f"{len(kept.rows)} rows made again, all the same")


def _differences(kept: Ledger, made: Ledger) -> Iterator[str]:
    for name in ("rows", "interactions"):
        ours, theirs = getattr(kept, name), getattr(made, name)
        if len(ours) != len(theirs):
            yield f"the ledger has {len(ours)} {name}, the report {len(theirs)}"
        for row, other in zip(ours, theirs, strict=False):
            yield from _differing(asdict(row), asdict(other), row.trick)
    ours, theirs = asdict(kept.reports[0]), asdict(made.reports[0])
    for key in ours.keys() - {"versions"}:
        if ours[key] != theirs[key]:
            yield f"{key} is {ours[key]} in the ledger, and {theirs[key]} in the report"


def _differing(ours: dict[str, Any], theirs: dict[str, Any], trick: str) -> Iterator[str]:
    for key, value in ours.items():
        other = theirs[key]
        numbers = isinstance(value, float) and isinstance(other, float)
        if abs(value - other) > TOLERANCE if numbers else value != other:
            yield f"{trick}: {key} is {value} in the ledger, and {other} in the report"
