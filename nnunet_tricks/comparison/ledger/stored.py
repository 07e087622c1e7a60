"""Read the file of rows, and refuse what ``ledger add`` cannot have written. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from nnunet_tricks.comparison.ledger.rows import (
    FILE,
    SCHEMA,
    UNDECIDED,
    Ledger,
    LedgerInteraction,
    LedgerReport,
    LedgerRow,
)


def read_ledger(file: Path = FILE) -> Ledger:
    """Read a file of rows.

    Args:
        file: File that ``ledger add`` has written.

    Raises:
        ValueError: If it is none, or of another version.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{file} is not there: 'nnunet-tricks ledger add REPORT --file {file}' begins it") from None
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        version = content.get("schema") if isinstance(content, dict) else None
        raise ValueError(f"{file} has schema {version}, and this version reads {SCHEMA}")
    try:
        ledger = Ledger(
            tuple(LedgerReport(**_known(LedgerReport, report)) for report in content["reports"]),
            tuple(LedgerRow(**_known(LedgerRow, row)) for row in content["rows"]),
            tuple(LedgerInteraction(**_known(LedgerInteraction, row)) for row in content["interactions"]),
        )
        _require_reports(ledger)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} was not written by 'ledger add': {error}") from None
    return ledger


def _require_reports(ledger: Ledger) -> None:
    """Refuse rows that no report backs: nobody could verify them."""
    names = [report.id for report in ledger.reports]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise KeyError(f"the report {twice[0]} stands twice")
    rows: tuple[LedgerRow | LedgerInteraction, ...] = (*ledger.rows, *ledger.interactions)
    for row in rows:
        if row.report not in names:
            raise KeyError(f"a row of {row.trick} is of {row.report}, which is not among the reports")
        if row.difference is None and row.word not in {"", UNDECIDED}:
            raise KeyError(f"{row.trick} has the word {row.word} and no difference")


KINDS: dict[Any, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    int: lambda value: isinstance(value, int),
    float | None: lambda value: value is None or isinstance(value, int | float),
    tuple[str, ...]: lambda value: isinstance(value, list) and all(isinstance(word, str) for word in value),
    tuple[int, int]: lambda value: isinstance(value, list) and [type(number) for number in value] == [int, int],
    Mapping[str, str]: lambda value: isinstance(value, dict),
}
"""What a field of each type may be in the file."""


def _known(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a record; lists become tuples. Other keys, and values of other types, are refused."""
    types = get_type_hints(kind)
    for key, value in data.items():
        if key not in types:
            raise KeyError(f"{key} in {kind.__name__}")
        if not KINDS[types[key]](value):
            raise KeyError(f"{key} of {data.get('trick') or data.get('id')} is {value!r}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
