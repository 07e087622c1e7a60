"""A report before it is written: its tables and statistics, made again of the long table and the facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunet_tricks.comparison import tables
from nnunet_tricks.comparison.compare import Row, Table
from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.curves import Epoch
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.methods import Group, Method, without_run
from nnunet_tricks.comparison.report.facts import Facts, Section
from nnunet_tricks.comparison.report.names import display
from nnunet_tricks.comparison.scores import scores_of
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.model import Statistics
from nnunet_tricks.comparison.table import Row as CaseRow
from nnunet_tricks.comparison.undefined import Numbers, completed
from nnunet_tricks.comparison.when import Answer, answers, question
from nnunet_tricks.comparison.when import Asked as Question


@dataclass(frozen=True)
class View:
    """One section.

    Attributes:
        section: The facts.
        table: What ``compare`` shows of all cases.
        subgroups: The same of some cases, by the value of the section's column.
        when: Whether the gain depends on what a case is like, for each trick and class.
        names: What figures call each way to train.
    """

    section: Section
    table: Table
    subgroups: Mapping[str, Table]
    when: tuple[Answer, ...]
    names: Mapping[str, str]

    @property
    def title(self) -> str:
        """What was compared."""
        return f"{self.section.name}: {tables.title(self.table)}" if self.section.name else tables.title(self.table)

    @property
    def found(self) -> Statistics:
        """The statistics of all cases, under the names of the figures."""
        return renamed(self.table, self.names)

    @property
    def curves(self) -> dict[str, list[tuple[Epoch, ...]]]:
        """Of each way to train, those of its trainings, as far as logs have any."""
        found = {self.names[way.name]: [one.epochs for one in way.trainings if one.epochs] for way in self.section.ways}
        return {name: trainings for name, trainings in found.items() if trainings}


def views(rows: Sequence[CaseRow], facts: Facts) -> list[View]:
    """Make every section.

    Args:
        rows: The long table.
        facts: All else.

    Raises:
        ValueError: If the table lacks what the facts name.
    """
    return [_view(section, rows, facts) for section in facts.sections]


def renamed(table: Table, names: Mapping[str, str]) -> Statistics:
    """A table's statistics with other names of the methods.

    Raises:
        ValueError: If it has none.
    """
    found = table.statistics
    if found is None:
        raise ValueError(f"{table.group.dataset}: nothing is compared with {table.group.baseline.name}")
    tricks = tuple(replace(trick, name=names.get(trick.name, trick.name)) for trick in found.tricks)
    baseline = replace(found.baseline, name=names.get(found.baseline.name, found.baseline.name))
    return replace(found, baseline=baseline, tricks=tricks)


def _view(section: Section, rows: Sequence[CaseRow], facts: Facts) -> View:
    own = _rows_of(section, rows)
    names = display([way.name for way in section.ways])
    subgroups = {}
    for value in sorted(set(section.subgroups.values())) if section.column else []:
        of_value = [row for row in own if section.subgroups.get(row.case) == value]
        subgroups[value] = _table(section, of_value, facts, f"{section.column} = {value}")
    table = _table(section, own, facts, "")
    when = answers(_questions(section, renamed(table, names)), seed=facts.seed)
    return View(section, table, subgroups, tuple(when), names)


def _rows_of(section: Section, rows: Sequence[CaseRow]) -> list[CaseRow]:
    """The rows of the long table that a section is about, metrics in their order."""
    ways = {(way.trainer, way.plans, way.configuration) for way in section.ways}
    place = {metric: number for number, metric in enumerate(section.metrics)}
    first: dict[str, str] = {}
    own = []
    for row in rows:
        trainer = first.setdefault(row.trainer, without_run(row.trainer))
        if (
            (row.dataset, row.part) == (section.dataset, section.part)
            and (trainer, row.plans, row.configuration) in ways
            and row.fold in section.folds
            and row.label in section.classes
            and row.metric in place
        ):
            own.append(row)
    if not own:
        raise ValueError(f"cases.csv has no rows of {section.dataset}, {section.part}")
    return sorted(own, key=lambda row: place[row.metric])


def _table(section: Section, rows: Sequence[CaseRow], facts: Facts, subgroup: str) -> Table:
    """What ``compare`` made when the predictions were at hand."""
    methods = tuple(_methods(section, rows))
    made: list[Row] = []
    values = completed([_cases(rows, method) for method in methods])
    for way, method, cases in zip(section.ways, methods, values, strict=True):
        scores = scores_of(cases, section.metrics, made[0].scores if made else None)
        made.append(Row(method, scores, len(cases), way.collapsed, Cost(way.seconds, way.memory, way.device_memory)))
    asked = AnalysisOptions(
        baseline=methods[0].name,
        subgroup=subgroup,
        groups=section.groups or None,
        folds_there=section.folds_there,
        costs={row.method.name: row.cost for row in made},
        metric=section.metrics[0],
        seed=facts.seed,
        draws=facts.draws,
    )
    group = Group(section.dataset, section.part, methods)
    return Table(group, subgroup, tuple(made), section.notes, tuple(rows), asked, analyse(rows, asked))


def _methods(section: Section, rows: Sequence[CaseRow]) -> list[Method]:
    trained: dict[tuple[str, str, str], dict[Predictions, None]] = {}
    known = {(row.dataset, row.trainer, row.plans, row.configuration, row.fold, row.part): None for row in rows}
    for dataset, trainer, plans, configuration, fold, part in known:
        model = Path(dataset) / f"{trainer}__{plans}__{configuration}"
        key = (without_run(trainer), plans, configuration)
        trained.setdefault(key, {}).setdefault(Predictions(model, fold, part))
    methods = []
    for way in section.ways:
        key = (way.trainer, way.plans, way.configuration)
        if key not in trained:
            raise ValueError(f"cases.csv has no rows of {way.folder}, which facts.json names")
        methods.append(Method(*key, tuple(trained[key])))
    return methods


def _cases(rows: Sequence[CaseRow], method: Method) -> list[tuple[str, Numbers]]:
    """What was measured in each prediction of a method, with the name of its case."""
    models = {one.model.name for one in method.predictions}
    cases: dict[tuple[str, ...], dict[str, dict[str, tuple[float, str]]]] = {}
    for row in rows:
        if f"{row.trainer}__{row.plans}__{row.configuration}" in models:
            values = cases.setdefault((row.trainer, row.fold, row.case), {})
            values.setdefault(row.label, {})[row.metric] = (row.value, row.unit)
    return [(case, values) for (_, _, case), values in cases.items()]


def _questions(section: Section, found: Statistics) -> list[Question]:
    asked = []
    for trick in found.tricks if section.traits else ():
        for label in section.classes:
            effect = trick.effects[label][found.metric]
            sign = {"higher": 1.0, "lower": -1.0}.get(effect.better, math.nan)
            gains = {one.case: sign * one.difference for one in effect.differences}
            traits = {case: of_case[label] for case, of_case in section.traits.items() if label in of_case}
            folds = {one.case: one.fold for one in effect.differences}
            asked.append(question(trick.name, label, gains, traits, folds, section.groups or None))
    return asked
