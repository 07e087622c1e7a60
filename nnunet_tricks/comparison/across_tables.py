"""The sign table: each trick on all data sets of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nnunet_tricks.comparison.comparison_table import ComparisonTable
from nnunet_tricks.comparison.statistics.across import across
from nnunet_tricks.comparison.statistics.model import Signs, Statistics
from nnunet_tricks.comparison.table import as_json
from nnunet_tricks.comparison.text_table import NOTHING, PrintedTable

FEWEST = 2
"""Number of data sets from which on there is a table across them."""

NOTE = "Exact two-sided sign test over data sets: five with the same sign give p = 0.06, six give 0.03."


@dataclass(frozen=True)
class SignComparison:
    """The signs of one metric on several data sets.

    Attributes:
        metric: Name of the metric.
        configuration: Name of nnU-Net's configuration.
        part: Part of the data.
        datasets: Full names of the data sets.
        signs: Signs of each trick.
    """

    metric: str
    configuration: str
    part: str
    datasets: tuple[str, ...]
    signs: tuple[Signs, ...]


def sign_comparisons(tables: Iterable[ComparisonTable]) -> Iterator[SignComparison]:
    """Each metric, part and configuration that several data sets have.

    Args:
        tables: Tables of ``compare``; those of subgroups are left out.
    """
    groups: dict[tuple[str, str, str], list[Statistics]] = {}
    for table in tables:
        statistics = table.statistics
        if statistics.tricks and not table.subgroup:
            key = (statistics.part, statistics.configuration, statistics.metric)
            groups.setdefault(key, []).append(statistics)
    for (part, configuration, metric), members in groups.items():
        datasets = tuple(statistics.dataset for statistics in members)
        if len(datasets) >= FEWEST and len(set(datasets)) == len(datasets):
            yield SignComparison(metric, configuration, part, datasets, across(members))


def sign_tables(tables: Iterable[ComparisonTable]) -> Iterator[PrintedTable]:
    """The sign comparisons as tables, to print."""
    for comparison in sign_comparisons(tables):
        title = f"{comparison.metric}, {comparison.configuration}, {comparison.part}"
        header = ("method", *comparison.datasets, "better/worse", "sign test, p (Holm)")
        rows = tuple(_row(signs, comparison.datasets) for signs in comparison.signs)
        yield PrintedTable(title, header, rows, NOTE)


def as_data(tables: Iterable[ComparisonTable]) -> list[dict[str, Any]]:
    """The sign comparisons for JSON."""
    return [
        {
            "metric": comparison.metric,
            "configuration": comparison.configuration,
            "part": comparison.part,
            "datasets": comparison.datasets,
            "methods": [_signs_data(signs) for signs in comparison.signs],
        }
        for comparison in sign_comparisons(tables)
    ]


def _signs_data(signs: Signs) -> dict[str, Any]:
    return asdict(signs) | {"differences": {name: as_json(value) for name, value in signs.differences.items()}}


def titled(tables: Iterable[ComparisonTable]) -> Iterator[PrintedTable]:
    """The sign tables as they stand below others, with a title that says what they are."""
    for table in sign_tables(tables):
        yield replace(table, title=f"Across data sets: {table.title}")


def as_markdown(tables: Iterable[ComparisonTable]) -> str:
    """All sign tables as Markdown; empty if there are none."""
    return "\n".join(table.markdown_section for table in titled(tables))


def _row(signs: Signs, datasets: Sequence[str]) -> tuple[str, ...]:
    cells = [
        f"{signs.differences[name]:+.3f} ({signs.words[name]})" if name in signs.differences else NOTHING
        for name in datasets
    ]
    return (signs.name, *cells, f"{signs.gains}/{signs.losses}", f"{signs.p.holm:.3f}")
