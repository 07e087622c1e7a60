"""The sign table: each trick on all data sets of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnunet_tricks.comparison.compare import Table
from nnunet_tricks.comparison.statistics.across import across
from nnunet_tricks.comparison.statistics.model import Signs, Statistics

FEWEST = 2
"""Data sets, for a table across them."""


def as_markdown(tables: Iterable[Table]) -> str:
    """A table for each part and configuration that several data sets have; empty if there are none.

    Args:
        tables: What ``compare`` found; those of subgroups are left out.
    """
    groups: dict[tuple[str, str, str], list[Statistics]] = {}
    for table in tables:
        found = table.statistics
        if found and found.tricks and not found.subgroup:
            groups.setdefault((found.part, found.configuration, found.metric), []).append(found)
    parts = []
    for (part, configuration, metric), members in groups.items():
        datasets = [one.dataset for one in members]
        if len(datasets) >= FEWEST and len(set(datasets)) == len(datasets):
            parts.append(_markdown(f"{metric}, {configuration}, {part}", datasets, across(members)))
    return "\n".join(parts)


def _markdown(title: str, datasets: Sequence[str], signs: Sequence[Signs]) -> str:
    header = ["method", *datasets, "better/worse", "sign test, p (Holm)"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    for one in signs:
        cells = [
            f"{one.differences[name]:+.3f} ({one.words[name]})" if name in one.differences else "-" for name in datasets
        ]
        lines.append([one.name, *cells, f"{one.gains}/{one.losses}", f"{one.p.holm:.3f}"])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = "- Exact two-sided sign test over data sets: five with the same sign have p = 0.06, six 0.03."
    return f"### Across data sets: {title}\n\n{table}\n\n{note}\n"
