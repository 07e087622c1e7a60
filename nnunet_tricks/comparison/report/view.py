"""A report before it is written: its tables and statistics, built again from the stored rows and facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nnunet_tricks.comparison import tables
from nnunet_tricks.comparison.comparison_table import ComparisonTable, Subgroup, TableFacts, build_table
from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.curves import EpochLog
from nnunet_tricks.comparison.dimension_tables import ComparedDimension
from nnunet_tricks.comparison.methods import Group, Method, without_run
from nnunet_tricks.comparison.report.facts import Facts, ReportSection
from nnunet_tricks.comparison.report.names import display
from nnunet_tricks.comparison.statistics.analyse import BRIER, ECE
from nnunet_tricks.comparison.statistics.model import Statistics
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.when import PatternAnswer, PatternQuestion, answers, question_of

CALIBRATION = (ECE, BRIER)
"""Metrics of whole cases, which no table of a class has."""


@dataclass(frozen=True)
class SectionView:
    """One section with all that is computed from its rows.

    Attributes:
        section: Facts of the section.
        table: Table of all cases, as ``compare`` shows it.
        subgroups: Tables of some cases, by the value of the section's column.
        patterns: Whether the gain depends on what a case is like, for each trick and class.
        names: Names of the methods in figures, by their short names.
        compared: Section as one side of a comparison of 2D with 3D.
    """

    section: ReportSection
    table: ComparisonTable
    subgroups: Mapping[str, ComparisonTable]
    patterns: tuple[PatternAnswer, ...]
    names: Mapping[str, str]
    compared: ComparedDimension

    @property
    def title(self) -> str:
        """What was compared."""
        title = tables.title(self.table)
        return f"{self.section.name}: {title}" if self.section.name else title

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics of all cases, under the names of the figures."""
        return renamed(self.table.statistics, self.names)

    @property
    def curves(self) -> dict[str, list[tuple[EpochLog, ...]]]:
        """Epochs of each method's trainings, as far as logs have any."""
        curves = {
            self.names[method.name]: [training.epochs for training in method.trainings if training.epochs]
            for method in self.section.ways
        }
        return {name: trainings for name, trainings in curves.items() if trainings}


def views(rows: Sequence[MetricRow], facts: Facts) -> list[SectionView]:
    """Compute every section.

    Args:
        rows: Rows of the long table.
        facts: Facts that the rows do not hold.

    Raises:
        ValueError: If the table lacks what the facts name.
    """
    return [_view(section, rows, facts) for section in facts.sections]


def renamed(statistics: Statistics, names: Mapping[str, str]) -> Statistics:
    """Statistics with other names of the methods."""
    tricks = tuple(replace(trick, name=names.get(trick.name, trick.name)) for trick in statistics.tricks)
    baseline = replace(statistics.baseline, name=names.get(statistics.baseline.name, statistics.baseline.name))
    return replace(statistics, baseline=baseline, tricks=tricks)


def _view(section: ReportSection, rows: Sequence[MetricRow], facts: Facts) -> SectionView:
    own = _rows_of(section, rows)
    names = display([method.name for method in section.ways])
    table_facts = _table_facts(section, own, facts)
    subgroups = {}
    for value in sorted(set(section.subgroups.values())) if section.column else []:
        of_value = [row for row in own if section.subgroups.get(row.case) == value]
        subgroups[value] = build_table(of_value, replace(table_facts, subgroup=Subgroup(section.column, value)))
    table = build_table(own, table_facts)
    patterns = answers(_questions(section, renamed(table.statistics, names)), seed=facts.seed)
    methods = tuple((method.trainer, method.plans, method.configuration) for method in section.ways)
    compared = ComparedDimension(table.statistics, methods, own, section.groups, facts.seed, facts.draws)
    return SectionView(section, table, subgroups, tuple(patterns), names, compared)


def _rows_of(section: ReportSection, rows: Sequence[MetricRow]) -> list[MetricRow]:
    """The rows of the long table that a section is about, metrics in their order, calibration last."""
    methods = {(method.trainer, method.plans, method.configuration) for method in section.ways}
    place = {metric: number for number, metric in enumerate((*section.metrics, *CALIBRATION))}
    first_runs: dict[str, str] = {}
    own = []
    for row in rows:
        trainer = first_runs.setdefault(row.trainer, without_run(row.trainer))
        if (
            (row.dataset, row.part) == (section.dataset, section.part)
            and (trainer, row.plans, row.configuration) in methods
            and row.fold in section.folds
            and row.metric in place
            and (row.label in section.classes or row.metric in CALIBRATION)
        ):
            own.append(row)
    if not own:
        raise ValueError(f"cases.csv has no rows of {section.dataset}, {section.part}")
    return sorted(own, key=lambda row: place[row.metric])


def _table_facts(section: ReportSection, rows: Sequence[MetricRow], facts: Facts) -> TableFacts:
    """What ``compare`` knew of all cases when the predictions were at hand."""
    group = Group(section.dataset, section.part, tuple(_methods(section, rows)))
    return TableFacts(
        group=group,
        metrics=section.metrics,
        notes=section.notes,
        costs={
            method.folder: Cost(
                method.seconds,
                method.memory,
                method.device_memory,
                method.seconds_per_case,
                method.seconds_of_training,
            )
            for method in section.ways
        },
        collapses={method.folder: method.collapsed for method in section.ways},
        case_groups=section.groups,
        folds_in_split=section.folds_there,
        seed=facts.seed,
        draws=facts.draws,
    )


def _methods(section: ReportSection, rows: Sequence[MetricRow]) -> list[Method]:
    """The methods of a section with the runs and folds that have rows."""
    trainings: dict[tuple[str, str, str], set[tuple[int, str]]] = {}
    for trainer, plans, configuration, run, fold in {
        (row.trainer, row.plans, row.configuration, row.run, row.fold) for row in rows
    }:
        trainings.setdefault((without_run(trainer), plans, configuration), set()).add((run, fold))
    methods = []
    for method in section.ways:
        key = (method.trainer, method.plans, method.configuration)
        if key not in trainings:
            raise ValueError(f"cases.csv has no rows of {method.folder}, which facts.json names")
        runs, folds = {run for run, _ in trainings[key]}, {fold for _, fold in trainings[key]}
        methods.append(Method(*key, runs=tuple(sorted(runs)), folds=tuple(sorted(folds))))
    return methods


def _questions(section: ReportSection, statistics: Statistics) -> list[PatternQuestion]:
    """Whether the gain depends on traits, for each trick and class; nothing without traits."""
    questions = []
    for trick in statistics.tricks if section.traits else ():
        for label in section.classes:
            effect = trick.effects[label][statistics.metric]
            sign = {"higher": 1.0, "lower": -1.0}.get(effect.better, math.nan)
            gains = {case.case: sign * case.difference for case in effect.differences}
            traits = {case: of_case[label] for case, of_case in section.traits.items() if label in of_case}
            folds = {case.case: case.fold for case in effect.differences}
            questions.append(question_of(trick.name, label, gains, traits, folds, section.groups or None))
    return questions
