"""The report as Markdown: the tables of ``compare``, and what only the report has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_tricks.comparison import across_tables, dimension_tables, tables
from nnunet_tricks.comparison.marked import inline, paragraphs
from nnunet_tricks.comparison.report import grids, words
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.view import SectionView


def document(views: Sequence[SectionView], facts: Facts, sums: Mapping[str, str]) -> str:
    """The whole report.

    Args:
        views: View of each section.
        facts: Facts of the report.
        sums: SHA-256 of the files that the report was made of.
    """
    question = facts.question
    parts = [f"# {inline(question.name)}", paragraphs(question.description), paragraphs(words.lock(question))]
    for view in views:
        parts += [f"## {inline(view.title)}", tables.below_title(view.table)]
        for value, table in view.subgroups.items():
            parts += [f"### {inline(f'{view.section.column} = {value}')}", tables.below_title(table)]
        calibration, subgroups = grids.calibration(view.statistics), grids.subgroups(view)
        if calibration:
            parts += ["**calibration**", calibration.markdown]
        if subgroups:
            parts += [f"**{inline(f'by {view.section.column}')}**, {inline(subgroups.title)}", subgroups.markdown]
        if view.patterns:
            parts += ["**when does it help?**", "\n".join(f"- {inline(answer.sentence)}" for answer in view.patterns)]
    parts.append(across_tables.as_markdown(view.table for view in views).rstrip())
    dimensions = dimension_tables.dimension_comparisons(view.compared for view in views)
    parts.append(dimension_tables.as_markdown(dimensions).rstrip())
    parts.append("## Methods")
    parts += [paragraphs(words.methods(view, facts)) for view in views]
    parts.append("```bibtex\n" + "\n\n".join(paper.bibtex for paper in words.papers(views)) + "\n```")
    sources = ", ".join(f"`{name}` {digest}" for name, digest in sums.items())
    parts.append(f"Made from {sources} (SHA-256); `nnunet-tricks verify` makes it again and compares every byte.")
    return "\n\n".join(part for part in parts if part) + "\n"
