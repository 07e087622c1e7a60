"""The sign table: each trick on all data sets of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nnunet_tricks.comparison import marked
from nnunet_tricks.comparison.compare import Table
from nnunet_tricks.comparison.statistics.across import across
from nnunet_tricks.comparison.statistics.model import Signs, Statistics
from nnunet_tricks.comparison.table import as_json

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


@dataclass(frozen=True)
class Across:
    """The signs of one metric on several data sets.

    Attributes:
        metric: Its name.
        configuration: nnU-Net's.
        part: Of the data.
        datasets: Full names.
        signs: For each trick.
    """

    metric: str
    configuration: str
    part: str
    datasets: tuple[str, ...]
    signs: tuple[Signs, ...]


def gathered(tables: Iterable[Table]) -> Iterator[Across]:
    """Each metric, part and configuration that several data sets have.

    Args:
        tables: What ``compare`` found; those of subgroups are left out.
    """
    groups: dict[tuple[str, str, str], list[Statistics]] = {}
    for table in tables:
        found = table.statistics
        if found and found.tricks and not found.subgroup:
            groups.setdefault((found.part, found.configuration, found.metric), []).append(found)
    for (part, configuration, metric), members in groups.items():
        datasets = tuple(one.dataset for one in members)
        if len(datasets) >= FEWEST and len(set(datasets)) == len(datasets):
            yield Across(metric, configuration, part, datasets, across(members))


def sign_tables(tables: Iterable[Table]) -> Iterator[SignTable]:
    """The same as tables, to print."""
    for one in gathered(tables):
        header = ("method", *one.datasets, "better/worse", "sign test, p (Holm)")
        rows = tuple(_row(signs, one.datasets) for signs in one.signs)
        yield SignTable(f"{one.metric}, {one.configuration}, {one.part}", header, rows)


def as_data(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {
            "metric": one.metric,
            "configuration": one.configuration,
            "part": one.part,
            "datasets": one.datasets,
            "methods": [_signs_data(signs) for signs in one.signs],
        }
        for one in gathered(tables)
    ]


def _signs_data(signs: Signs) -> dict[str, Any]:
    return asdict(signs) | {"differences": {name: as_json(value) for name, value in signs.differences.items()}}


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
    drawn = marked.table(table.header, table.rows)
    return f"### Across data sets: {marked.inline(table.title)}\n\n{drawn}\n\n- {marked.inline(NOTE)}\n"
