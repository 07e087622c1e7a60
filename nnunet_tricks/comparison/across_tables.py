"""The sign table: each trick on all data sets of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nnunet_tricks.comparison.compare import Table
from nnunet_tricks.comparison.statistics.across import across
from nnunet_tricks.comparison.statistics.model import Signs, Statistics

FEWEST = 2
"""Data sets, for a table across them."""


NOTE = "Exact two-sided sign test over data sets: five with the same sign have p = 0.06, six 0.03."


@dataclass(frozen=True)
class SignTable:
    """What each trick did on several data sets.

    Attributes:
        title: Metric, configuration and part.
        header: Of the columns.
        rows: One for each trick.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sign_tables(tables: Iterable[Table]) -> Iterator[SignTable]:
    """A table for each part and configuration that several data sets have.

    Args:
        tables: What ``compare`` found; those of subgroups are left out.
    """
    groups: dict[tuple[str, str, str], list[Statistics]] = {}
    for table in tables:
        found = table.statistics
        if found and found.tricks and not found.subgroup:
            groups.setdefault((found.part, found.configuration, found.metric), []).append(found)
    for (part, configuration, metric), members in groups.items():
        datasets = [one.dataset for one in members]
        if len(datasets) >= FEWEST and len(set(datasets)) == len(datasets):
            header = ("method", *datasets, "better/worse", "sign test, p (Holm)")
            rows = tuple(_row(one, datasets) for one in across(members))
            yield SignTable(f"{metric}, {configuration}, {part}", header, rows)


def as_markdown(tables: Iterable[Table]) -> str:
    """All of these tables; empty if there are none."""
    return "\n".join(map(_markdown, sign_tables(tables)))


def _row(signs: Signs, datasets: Sequence[str]) -> tuple[str, ...]:
    cells = [
        f"{signs.differences[name]:+.3f} ({signs.words[name]})" if name in signs.differences else "-"
        for name in datasets
    ]
    return (signs.name, *cells, f"{signs.gains}/{signs.losses}", f"{signs.p.holm:.3f}")


def _markdown(table: SignTable) -> str:
    lines = [table.header, ("---", *("---:" for _ in table.header[1:])), *table.rows]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"### Across data sets: {table.title}\n\n{drawn}\n\n- {NOTE}\n"
