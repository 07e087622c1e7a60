"""The report as Markdown: compare's tables, and what only the report knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_tricks.comparison import across_tables, tables
from nnunet_tricks.comparison.report import grids, words
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.grids import Grid
from nnunet_tricks.comparison.report.view import View


def document(views: Sequence[View], facts: Facts, sums: Mapping[str, str]) -> str:
    """The whole of it.

    Args:
        views: Of each section.
        facts: What was asked, and how.
        sums: SHA-256 of the files that it was made of.
    """
    question = facts.question
    parts = [f"# {question.name}", question.description, question.lock]
    for view in views:
        parts.append(f"## {view.title}")
        parts.append(tables.as_markdown([view.table, *view.subgroups.values()]).rstrip())
        for title, grid in (
            ("calibration", grids.calibration(view.found)),
            (f"by {view.section.column}", grids.subgroups(view)),
        ):
            if grid:
                parts += [f"**{title}**, {grid.title}", _table(grid)]
        if view.when:
            parts += ["**when does it help?**", "\n".join(f"- {answer.sentence}" for answer in view.when)]
    parts.append(across_tables.as_markdown(view.table for view in views).rstrip())
    parts.append("## Methods")
    parts += [words.methods(view, facts) for view in views]
    parts.append("```bibtex\n" + "\n\n".join(paper.bibtex for paper in words.papers(views)) + "\n```")
    said = ", ".join(f"`{name}` {digest}" for name, digest in sums.items())
    parts.append(f"Made of {said} (SHA-256); `nnunet-tricks verify` makes it again and compares every byte.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(grid: Grid) -> str:
    lines = [grid.header, ("---", *("---:" for _ in grid.header[1:])), *grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
