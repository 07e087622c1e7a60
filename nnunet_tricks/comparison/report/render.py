"""From the stored table and facts to every file of a report: the same bytes each time."""

from __future__ import annotations

import csv
import hashlib
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nnunet_tricks.comparison import tables
from nnunet_tricks.comparison.report import latex, markdown, page
from nnunet_tricks.comparison.report.facts import Facts, versions
from nnunet_tricks.comparison.report.together import write_together
from nnunet_tricks.comparison.report.view import views
from nnunet_tricks.comparison.table import COLUMNS, MetricRow, as_csv

CASES, FACTS = "cases.csv", "facts.json"
SUMS = "SHA256SUMS"
"""What ``sha256sum -c`` takes."""

SOURCES = (CASES, FACTS)


def rendered(cases: str, facts: str) -> dict[str, str]:
    """All files that are made from the two stored ones, by name.

    Args:
        cases: Content of ``cases.csv``.
        facts: Content of ``facts.json``.

    Raises:
        ValueError: If they are not what a report has stored.
    """
    known = Facts.of_json(facts)
    sections = views(rows_in(cases), known)
    sums = {CASES: digest(cases), FACTS: digest(facts)}
    return {
        "report.html": page.document(sections, known, sums),
        "report.md": markdown.document(sections, known, sums),
        "report.tex": latex.document(sections, known),
        "report.csv": tables.as_csv([table for view in sections for table in (view.table, *view.subgroups.values())]),
    }


def write(folder: Path, rows: Iterable[MetricRow], facts: Facts) -> list[Path]:
    """Write a report.

    Args:
        folder: Folder to write; made if it is not there.
        rows: Rows of the long table.
        facts: Facts that the rows do not hold.

    Returns:
        The written files, those for people first.

    Raises:
        OSError: If the folder cannot be written; an older report in it is whole then.
    """
    stored = {CASES: as_csv(rows), FACTS: facts.as_json()}
    files = {**rendered(*stored.values()), **stored}
    sums = "".join(f"{digest(text)}  {name}\n" for name, text in files.items())
    write_together(folder, {**files, SUMS: sums})
    return [folder / name for name in files]


def rewrite(folder: Path) -> None:
    """Write a report again from its own table and facts, after the code that makes reports has changed.

    Raises:
        ValueError: If they are not what a report has stored.
    """
    cases, facts = ((folder / name).read_text(encoding="utf-8") for name in SOURCES)
    write(folder, rows_in(cases), replace(Facts.of_json(facts), versions=versions()))


def rows_in(cases: str) -> Sequence[MetricRow]:
    """The rows of a long table.

    Raises:
        ValueError: Naming the line that is no row.
    """
    lines = csv.reader(_lines(cases))
    header = next(lines, [])
    if tuple(header) != COLUMNS:
        raise ValueError(f"{CASES} has the columns {', '.join(header)}, not {', '.join(COLUMNS)}")
    rows = []
    words: dict[str, str] = {}
    for number, line in enumerate(lines, 2):
        if line:
            try:
                rows.append(_row(line, words))
            except ValueError as error:
                raise ValueError(f"{CASES}, line {number}: {error}") from None
    return rows


def _row(line: Sequence[str], words: dict[str, str]) -> MetricRow:
    """A row of the table. Names occur in thousands of rows, so each is kept once."""
    dataset, configuration, plans, trainer, fold, run, part, case, label, metric, value, unit = line
    known = words.setdefault
    return MetricRow(
        dataset=known(dataset, dataset),
        configuration=known(configuration, configuration),
        plans=known(plans, plans),
        trainer=known(trainer, trainer),
        fold=known(fold, fold),
        run=int(run),
        part=known(part, part),
        case=known(case, case),
        label=known(label, label),
        metric=known(metric, metric),
        value=float(value or math.nan),
        unit=known(unit, unit),
    )


def _lines(text: str) -> Iterator[str]:
    """The lines one by one: a file-like object would hold a copy of a large text, four times as wide."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def digest(text: str) -> str:
    """SHA-256 of a file with this content."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


if __name__ == "__main__":
    for place in sys.argv[1:]:
        rewrite(Path(place))
