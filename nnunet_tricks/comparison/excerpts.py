"""Verdicts of the report under ``experiments/`` in other documents.

``python -m nnunet_tricks.comparison.excerpts`` writes them, and a test compares them with the report.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_tricks.utilities.blocks import with_block
from nnunet_tricks.utilities.files import write_atomically

BEGIN = "<!-- verdicts: begin, written by 'python -m nnunet_tricks.comparison.excerpts' -->"
END = "<!-- verdicts: end -->"
REPORT = Path("experiments", "hippocampus", "report", "report.md")
DOCUMENTS = (Path("docs", "compare.md"), Path("experiments", "hippocampus", "README.md"))
TITLE = "**is it real?"


def verdict_table(report: str) -> str:
    """The table of verdicts in a report.

    Args:
        report: Content of ``report.md``.

    Raises:
        ValueError: If the report has no such table.
    """
    section = report.partition(f"\n{TITLE}")[2]
    table = section.split("\n\n")[1].strip("\n") if "\n\n" in section else ""
    if not table.startswith("|"):
        raise ValueError(f"the report has no table below '{TITLE}'")
    return table


def inserted(document: str, table: str) -> str:
    """The document with its table of verdicts replaced.

    Raises:
        ValueError: If the document has no place for the table.
    """
    return with_block(document, BEGIN, END, table)


def main(arguments: Sequence[str]) -> int:
    """Write the table into all documents of a checkout, the current folder if none is given."""
    checkout = Path(arguments[0] if arguments else ".")
    table = verdict_table((checkout / REPORT).read_text(encoding="utf-8"))
    for name in DOCUMENTS:
        file = checkout / name
        write_atomically(file, inserted(file.read_text(encoding="utf-8"), table))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
