"""Verdicts of the reports under ``experiments/`` in other documents.

``python -m nnunet_tricks.comparison.excerpts`` writes them, and a test compares them with the reports.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_tricks.utilities.blocks import with_block
from nnunet_tricks.utilities.files import write_atomically

BEGIN = "<!-- verdicts: begin, written by 'python -m nnunet_tricks.comparison.excerpts' -->"
END = "<!-- verdicts: end -->"
_EXPERIMENTS = (
    "blocks",
    "few_labels",
    "hippocampus",
    "networks",
    "objects",
    "partial_labels",
    "pretrained",
    "self_training",
    "shorter_trainings",
    "synthetic_polyps",
    "trained_models",
)
"""Folders of experiments whose page holds the verdicts of the report beside it."""


def _report(experiment: str) -> Path:
    return Path("experiments", experiment, "report", "report.md")


DOCUMENTS = {
    Path("docs", "compare.md"): _report("hippocampus"),
    **{Path("experiments", name, "README.md"): _report(name) for name in _EXPERIMENTS},
}
"""Each document with the report whose verdicts it holds."""
TITLE = "**is it real?"
SECTION = "\n## "


def verdict_table(report: str) -> str:
    """The tables of verdicts in a report; where there are several, each below the name of its comparison.

    Args:
        report: Content of ``report.md``.

    Raises:
        ValueError: If the report has no such table.
    """
    tables = {}
    for section in report.split(SECTION):
        below = section.partition(f"\n{TITLE}")[2]
        table = below.split("\n\n")[1].strip("\n") if "\n\n" in below else ""
        if table.startswith("|"):
            tables[section.partition(":")[0]] = table
    if not tables:
        raise ValueError(f"the report has no table below '{TITLE}'")
    if len(tables) == 1:
        return next(iter(tables.values()))
    return "\n\n".join(f"**{name}**\n\n{table}" for name, table in tables.items())


def inserted(document: str, table: str) -> str:
    """The document with its table of verdicts replaced.

    Raises:
        ValueError: If the document has no place for the table.
    """
    return with_block(document, BEGIN, END, table)


def main(arguments: Sequence[str]) -> int:
    """Write the table into all documents of a checkout, the current folder if none is given."""
    checkout = Path(arguments[0] if arguments else ".")
    for name, report in DOCUMENTS.items():
        file, table = checkout / name, verdict_table((checkout / report).read_text(encoding="utf-8"))
        write_atomically(file, inserted(file.read_text(encoding="utf-8"), table))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
