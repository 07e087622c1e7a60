"""The report as Markdown: compare's tables, and what only the report knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_tricks.comparison import across_tables, marked, tables
from nnunet_tricks.comparison.marked import inline, paragraphs
from nnunet_tricks.comparison.report import grids, words
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.view import View


def document(views: Sequence[View], facts: Facts, sums: Mapping[str, str]) -> str:
    """The whole of it.

    Args:
        views: Of each section.
        facts: What was asked, and how.
        sums: SHA-256 of the files that it was made of.
    """
    question = facts.question
    parts = [f"# {inline(question.name)}", paragraphs(question.description), paragraphs(question.lock)]
    for view in views:
        parts += [f"## {inline(view.title)}", tables.below_title(view.table)]
        for value, table in view.subgroups.items():
            parts += [f"### {inline(f'{view.section.column} = {value}')}", tables.below_title(table)]
        for title, grid in (
            ("calibration", grids.calibration(view.found)),
            (f"by {view.section.column}", grids.subgroups(view)),
        ):
            if grid:
                parts += [f"**{inline(title)}**, {inline(grid.title)}", marked.table(grid.header, grid.rows)]
        if view.when:
            parts += ["**when does it help?**", "\n".join(f"- {inline(answer.sentence)}" for answer in view.when)]
    parts.append(across_tables.as_markdown(view.table for view in views).rstrip())
    parts.append("## Methods")
    parts += [paragraphs(words.methods(view, facts)) for view in views]
    parts.append("```bibtex\n" + "\n\n".join(paper.bibtex for paper in words.papers(views)) + "\n```")
    said = ", ".join(f"`{name}` {digest}" for name, digest in sums.items())
    parts.append(f"Made of {said} (SHA-256); `nnunet-tricks verify` makes it again and compares every byte.")
    return "\n\n".join(part for part in parts if part) + "\n"
