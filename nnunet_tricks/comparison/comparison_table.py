"""From rows of the long table to a comparison: scores of each method, and what their differences are worth.

``compare`` builds its tables here while the models are at hand. A stored report builds them again from its own rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.methods import Group, Method
from nnunet_tricks.comparison.scores import Scores, scores_of
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.bootstrap import DRAWS
from nnunet_tricks.comparison.statistics.model import Statistics
from nnunet_tricks.comparison.statistics.values import key_of
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.undefined import Numbers, completed

DEFAULT_FOLDS = 5
"""Folds of nnU-Net's own splits."""


@dataclass(frozen=True, order=True)
class Collapse:
    """A training that predicts nothing at all of a class that is there.

    Attributes:
        label: Name of the class.
        fold: Fold of the training.
        run: Number of the repetition; None where the method was trained once.
    """

    label: str
    fold: str
    run: int | None = None

    def __str__(self) -> str:
        """The collapse in words, as reports and csv files have it."""
        return f"{self.label} in fold {self.fold}" + ("" if self.run is None else f" of run {self.run}")


@dataclass(frozen=True)
class Subgroup:
    """The cases with one value in a column of ``cases.csv``.

    Attributes:
        column: Name of the column.
        value: Word in that column.
    """

    column: str
    value: str

    def __str__(self) -> str:
        """The subgroup in words, as titles have it."""
        return f"{self.column} = {self.value}"


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """Facts that a table needs besides the numbers of the cases.

    Attributes:
        group: Methods that are compared.
        metrics: Names of the metrics in the order of the columns; verdicts are on the first.
        subgroup: Cases that the table is about; None for all.
        notes: Sentences that a reader has to know.
        costs: Costs of the trainings, by name of the method.
        collapses: Trainings that predict nothing of a class, by name of the method.
        case_groups: Group of each case, such as its patient; empty if each case stands for itself.
        folds_in_split: Number of folds in the split file.
        seed: Seed of all random draws.
        draws: Number of draws of bootstrap and permutations.
    """

    group: Group
    metrics: tuple[str, ...]
    subgroup: Subgroup | None = None
    notes: tuple[str, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)
    collapses: Mapping[str, tuple[Collapse, ...]] = field(default_factory=dict)
    case_groups: Mapping[str, str] = field(default_factory=dict)
    folds_in_split: int = DEFAULT_FOLDS
    seed: int = 0
    draws: int = DRAWS


@dataclass(frozen=True)
class MethodRow:
    """One method's line of a table.

    Attributes:
        method: Method of the row.
        scores: Mean scores by class and metric.
        cases: Number of predictions, of all runs.
        collapses: Trainings that predict nothing at all of a class that is there.
        cost: Cost of its trainings.
    """

    method: Method
    scores: Scores
    cases: int
    collapses: tuple[Collapse, ...]
    cost: Cost


@dataclass(frozen=True)
class ComparisonTable:
    """Methods on the same cases.

    Attributes:
        group: Methods that are compared.
        subgroup: Cases that the table is about; None for all.
        rows: One row for each method, the baseline first.
        notes: Sentences that a reader has to know.
        statistics: Statistics of the differences.
    """

    group: Group
    subgroup: Subgroup | None
    rows: tuple[MethodRow, ...]
    notes: tuple[str, ...]
    statistics: Statistics


def build_table(rows: Sequence[MetricRow], facts: TableFacts) -> ComparisonTable:
    """Build the table of a comparison, statistics included.

    Args:
        rows: Rows of the long table, of these methods and cases only.
        facts: Facts that the rows do not hold.

    Raises:
        ValueError: If a method has no rows, or the rows do not fit together.
    """
    group = facts.group
    method_rows: list[MethodRow] = []
    for method, cases in zip(group.methods, completed(_cases(rows, facts)), strict=True):
        scores = scores_of(cases, facts.metrics, method_rows[0].scores if method_rows else None)
        cost, collapses = facts.costs.get(method.name, Cost()), facts.collapses.get(method.name, ())
        method_rows.append(MethodRow(method, scores, len(cases), collapses, cost))
    settings = AnalysisOptions(
        baseline=group.baseline.name,
        subgroup=str(facts.subgroup or ""),
        groups=facts.case_groups or None,
        folds_there=facts.folds_in_split,
        costs=facts.costs,
        metric=facts.metrics[0],
        seed=facts.seed,
        draws=facts.draws,
    )
    return ComparisonTable(group, facts.subgroup, tuple(method_rows), facts.notes, analyse(rows, settings))


def _cases(rows: Iterable[MetricRow], facts: TableFacts) -> list[list[tuple[str, Numbers]]]:
    """The numbers of every prediction with the name of its case, for each method."""
    methods = {(method.trainer, method.plans, method.configuration): method for method in facts.group.methods}
    predictions: dict[tuple[str, str, str], dict[tuple[str, str, str], dict[str, dict[str, tuple[float, str]]]]]
    predictions = {key: {} for key in methods}
    metrics = frozenset(facts.metrics)
    for row in rows:
        if row.metric in metrics:
            numbers = predictions[key_of(row)].setdefault((row.trainer, row.fold, row.case), {})
            numbers.setdefault(row.label, {})[row.metric] = (row.value, row.unit)
    for key, method in methods.items():
        if not predictions[key]:
            raise ValueError(f"there are no rows of {method.name} in {facts.group.dataset}, {facts.group.part}")
    return [[(case, numbers) for (_, _, case), numbers in members.items()] for members in predictions.values()]
