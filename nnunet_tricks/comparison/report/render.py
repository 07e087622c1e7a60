"""From the stored table and facts to every file of a report; the same bytes each time."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison import tables
from nnunet_tricks.comparison.report import latex, markdown, page
from nnunet_tricks.comparison.report.facts import Facts, versions
from nnunet_tricks.comparison.report.together import write_together
from nnunet_tricks.comparison.report.view import views
from nnunet_tricks.comparison.table import COLUMNS, Row, as_csv

CASES, FACTS = "cases.csv", "facts.json"
SUMS = "SHA256SUMS"
"""What ``sha256sum -c`` takes."""

SOURCES = (CASES, FACTS)


def rendered(cases: str, facts: str) -> dict[str, str]:
    """All files that are made of the two stored ones, by name.

    Args:
        cases: Content of ``cases.csv``.
        facts: Content of ``facts.json``.

    Raises:
        ValueError: If they are not what a report has stored.
    """
    known = Facts.of_json(facts)
    made = views(rows_in(cases), known)
    sums = {CASES: digest(cases), FACTS: digest(facts)}
    return {
        "report.html": page.document(made, known, sums),
        "report.md": markdown.document(made, known, sums),
        "report.tex": latex.document(made, known),
        "report.csv": tables.as_csv([table for view in made for table in (view.table, *view.subgroups.values())]),
    }


def write(folder: Path, rows: Iterable[Row], facts: Facts) -> list[Path]:
    """Write a report.

    Args:
        folder: Where to; made if it is not there.
        rows: The long table.
        facts: All else.

    Returns:
        The files, those that people read first.

    Raises:
        OSError: If the folder cannot be written; an older report in it is whole then.
    """
    stored = {CASES: as_csv(rows), FACTS: facts.as_json()}
    files = {**rendered(*stored.values()), **stored}
    sums = "".join(f"{digest(text)}  {name}\n" for name, text in files.items())
    write_together(folder, {**files, SUMS: sums})
    return [folder / name for name in files]


def rewrite(folder: Path) -> None:
    """Write a report again from its own table and facts, after what makes reports has changed.

    Raises:
        ValueError: If they are not what a report has stored.
    """
    cases, facts = ((folder / name).read_text(encoding="utf-8") for name in SOURCES)
    write(folder, rows_in(cases), replace(Facts.of_json(facts), versions=versions()))


def rows_in(cases: str) -> Sequence[Row]:
    """The rows of a long table.

    Raises:
        ValueError: Naming the line that is none.
    """
    reader = csv.DictReader(io.StringIO(cases, newline=""))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{CASES} has the columns {', '.join(reader.fieldnames or ())}, not {', '.join(COLUMNS)}")
    rows = []
    for number, line in enumerate(reader, 2):
        try:
            words: dict[str, Any] = {name: line[name] for name in COLUMNS}
            words |= {"run": int(words["run"]), "value": float(words["value"] or math.nan)}
            rows.append(Row(**words))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{CASES}, line {number}: {error}") from None
    return rows


def digest(text: str) -> str:
    """SHA-256 of a file with this content."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


if __name__ == "__main__":
    for place in sys.argv[1:]:
        rewrite(Path(place))
