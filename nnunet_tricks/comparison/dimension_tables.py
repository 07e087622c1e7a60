"""Trick by dimension: tables of an experiment that has both ``2d`` and ``3d_fullres`` of the same cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_tricks.comparison.statistics.bootstrap import DRAWS
from nnunet_tricks.comparison.statistics.dimension import DimensionEffect, DimensionPair, by_dimension, dimension_of
from nnunet_tricks.comparison.statistics.model import Statistics
from nnunet_tricks.comparison.statistics.values import MethodKey, key_of
from nnunet_tricks.comparison.table import MetricRow, as_json
from nnunet_tricks.comparison.text_table import PrintedTable

ALL_TRICKS = "mean of all tricks"

NOTE = (
    "Difference in 3D minus difference in 2D, on the same cases and folds, so other data are not the reason. Patch, "
    "network and number of voxels that a step sees differ with the dimension too: 'less in 3D' does not say which of "
    "them it is. One data set does not stand for others."
)


@dataclass(frozen=True)
class ComparedDimension:
    """What was compared in one dimension.

    Attributes:
        statistics: Statistics of all cases.
        methods: Methods, the baseline first.
        rows: Rows of the long table.
        groups: Group of each case; empty if each stands for itself.
        seed: Seed of all random draws.
        draws: Number of draws of the bootstrap.
    """

    statistics: Statistics
    methods: tuple[MethodKey, ...]
    rows: Sequence[MetricRow]
    groups: Mapping[str, str]
    seed: int = 0
    draws: int = DRAWS


@dataclass(frozen=True)
class DimensionComparison:
    """Tricks by dimension on one data set.

    Attributes:
        dataset: Full name of the data set.
        part: Part of the data.
        configurations: Configuration of 2D, and that of 3D.
        metric: Name of the metric.
        label: Class, or ``mean of classes``.
        effects: Interaction of each trick; that of all tricks together is last, if there are several.
    """

    dataset: str
    part: str
    configurations: tuple[str, str]
    metric: str
    label: str
    effects: tuple[DimensionEffect, ...]


def dimension_comparisons(compared: Iterable[ComparedDimension]) -> Iterator[DimensionComparison]:
    """Each pair of a 2D and a 3D configuration with the same data set, part, folds, metric, classes and baseline.

    Args:
        compared: Everything that was compared, without subgroups.
    """
    sides: dict[tuple[Any, ...], dict[int, ComparedDimension]] = {}
    for candidate in compared:
        statistics, (trainer, plans, configuration) = candidate.statistics, candidate.methods[0]
        place = (statistics.dataset, statistics.part, statistics.folds, statistics.metric, statistics.label)
        same = {method[2] for method in candidate.methods} == {configuration}
        if same and (dimension := dimension_of(configuration)):
            sides.setdefault((*place, trainer, plans), {}).setdefault(dimension, candidate)
    for of_pair in sides.values():
        if len(of_pair) == 2:
            yield from _compared(of_pair[2], of_pair[3])


def _compared(flat: ComparedDimension, volume: ComparedDimension) -> Iterator[DimensionComparison]:
    pair = DimensionPair(flat.methods, volume.methods)
    kept = {*pair.flat[:1], *pair.volume[:1], *(method for both in pair.common for method in both)}
    pair = DimensionPair(
        tuple(method for method in pair.flat if method in kept),
        tuple(method for method in pair.volume if method in kept),
    )
    statistics = flat.statistics
    rows = [row for row in (*flat.rows, *volume.rows) if row.metric == statistics.metric and key_of(row) in kept]
    cases = [{row.case for row in side.rows} for side in (flat, volume)]
    if not pair.common or cases[0] != cases[1]:
        return
    effects = by_dimension(rows, pair, groups=flat.groups or None, seed=flat.seed, draws=flat.draws)
    configurations = (flat.methods[0][2], volume.methods[0][2])
    yield DimensionComparison(
        statistics.dataset, statistics.part, configurations, statistics.metric, statistics.label, effects
    )


def dimension_tables(comparisons: Iterable[DimensionComparison]) -> Iterator[PrintedTable]:
    """The comparisons as tables."""
    for comparison in comparisons:
        flat, volume = comparison.configurations
        title = f"Trick by dimension: {comparison.dataset}, {comparison.part}, {comparison.metric}, {comparison.label}"
        header = ("method", flat, volume, "3D minus 2D", "95 % interval", "p (Holm)", "verdict")
        rows = tuple(_row(effect) for effect in comparison.effects)
        yield PrintedTable(title, header, rows, NOTE, verdict_column=len(header) - 1)


def _row(dimension: DimensionEffect) -> tuple[str, ...]:
    effect = dimension.effect
    return (
        dimension.trick or ALL_TRICKS,
        f"{dimension.flat:+.3f}",
        f"{dimension.volume:+.3f}",
        f"{effect.difference:+.3f}",
        f"{effect.interval.low:+.3f} to {effect.interval.high:+.3f}",
        f"{effect.p.holm:.3f}",
        dimension.word,
    )


def as_markdown(comparisons: Iterable[DimensionComparison]) -> str:
    """All tables as Markdown; empty if there are none."""
    return "\n".join(table.markdown_section for table in dimension_tables(comparisons))


def as_data(comparisons: Iterable[DimensionComparison]) -> list[dict[str, Any]]:
    """The comparisons for JSON."""
    return [
        {
            "dataset": comparison.dataset,
            "part": comparison.part,
            "configurations": comparison.configurations,
            "metric": comparison.metric,
            "label": comparison.label,
            "methods": [_effect_data(effect) for effect in comparison.effects],
        }
        for comparison in comparisons
    ]


def _effect_data(dimension: DimensionEffect) -> dict[str, Any]:
    effect = dimension.effect
    return {
        "trick": dimension.trick or ALL_TRICKS,
        "in_2d": as_json(dimension.flat),
        "in_3d": as_json(dimension.volume),
        "difference": as_json(effect.difference),
        "low": as_json(effect.interval.low),
        "high": as_json(effect.interval.high),
        "p": as_json(effect.p.p),
        "p_holm": as_json(effect.p.holm),
        "word": dimension.word,
        "why": dimension.why,
    }
