"""From predictions to comparisons: what is measured, checked and judged, as plain values without paths."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from nnunet_tricks.comparison import calibration, cases_table, positions
from nnunet_tricks.comparison.checks import check, nnunet_version
from nnunet_tricks.comparison.comparison_table import (
    DEFAULT_FOLDS,
    Collapse,
    ComparisonTable,
    Subgroup,
    TableFacts,
    build_table,
)
from nnunet_tricks.comparison.cost import cost, is_uneven
from nnunet_tricks.comparison.evaluate import MeasuredCase, MeasuringSettings, evaluate, left_out
from nnunet_tricks.comparison.folders import Predictions, classes_of
from nnunet_tricks.comparison.grouping import PredictedGroup
from nnunet_tricks.comparison.methods import Group, Method
from nnunet_tricks.comparison.metrics import TOLERANCES, shown
from nnunet_tricks.comparison.positions import Displacement
from nnunet_tricks.comparison.statistics.analyse import COUNTS
from nnunet_tricks.comparison.table import MetricRow, rows_of
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.wording import some

METRICS = ("Dice", "IoU", "recall", "precision", "HD95")
EMPTY = "(empty)"
"""Name of the subgroup of cases whose column is empty."""

ON_SUBGROUPS = (
    "Verdicts and p values are not corrected for the number of subgroups: one in twenty shows an effect that is not "
    "there."
)

Measurements = Mapping[Predictions, Sequence[MeasuredCase]]
"""Measured cases by the predictions that they are in."""


@dataclass(frozen=True, kw_only=True)
class ComparisonQuestion:
    """A question to trained models: metrics, subgroups, and what must hold.

    Attributes:
        metrics: Names or families of metrics.
        tolerances: Tolerances of the surface Dice in mm.
        regions: Unions of labels, such as ``kidney=1+2``, instead of the classes.
        folds: Folds that must be there; None for all of the split file.
        accept: Differences between folders that become footnotes.
        column: Column of ``cases.csv`` whose values make a table each; empty for one table of all cases.
        grouped_by: Column of ``cases.csv`` with what a case belongs to, such as a patient: intervals draw these. Empty
            if each case stands for itself.
        cases_csv: Path of ``cases.csv``; None for the one in the raw data set.
        left_out: Sentence that names the models that should have been compared but are not finished; empty if none.
        seed: Seed of all random draws.
        workers: Number of processes that measure.
    """

    metrics: Sequence[str] = METRICS
    tolerances: Sequence[float] = TOLERANCES
    regions: Sequence[str] = ()
    folds: Collection[str] | None = None
    accept: Collection[str] = ()
    column: str = ""
    grouped_by: str = ""
    cases_csv: Path | None = None
    left_out: str = ""
    seed: int = 0
    workers: int = 1

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics that methods are judged by.

        Raises:
            ValueError: If some are counts, of which large objects have most.
        """
        names = shown(self.metrics, self.tolerances)
        counts = [name for name in names if name in COUNTS]
        if counts:
            raise ValueError(
                f"--metrics asks for {some(counts)}, and methods are not judged by counts of voxels: take others, such "
                "as Dice; 'nnunet-tricks evaluate FOLDER --out cases.csv' writes the counts of every case"
            )
        return tuple(names)


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """What came out for one group of methods.

    Attributes:
        question: Question that was asked.
        classes: Classes or regions that were measured.
        rows: Every number of every case, as the long table has them.
        facts: Facts about all cases that the rows do not hold.
        tables: One table of all cases, or one for each subgroup.
        subgroups: Subgroup of each case, by its value; empty if cases were not sorted.
    """

    question: ComparisonQuestion
    classes: Classes
    rows: tuple[MetricRow, ...]
    facts: TableFacts
    tables: tuple[ComparisonTable, ...]
    subgroups: Mapping[str, str]

    @property
    def group(self) -> Group:
        """What was compared."""
        return self.facts.group

    @cached_property
    def table(self) -> ComparisonTable:
        """The table of all cases; where cases were sorted into subgroups, it is built when it is asked for."""
        return build_table(self.rows, self.facts) if self.question.column else self.tables[0]


def compare(groups: Iterable[PredictedGroup], question: ComparisonQuestion) -> list[ComparisonResult]:
    """Compare models with their baseline.

    Args:
        groups: Groups of models, as ``grouping.grouped`` sorts them.
        question: Metrics, subgroups and conditions of the comparison.

    Raises:
        ValueError: Naming what is missing or differs.
    """
    # A wrong metric is refused before anything is measured.
    names = question.metric_names
    return [_compared(group, question, names) for group in groups]


def _compared(models: PredictedGroup, question: ComparisonQuestion, names: tuple[str, ...]) -> ComparisonResult:
    notes = [*filter(None, [question.left_out]), *check(models, folds=question.folds, accept=question.accept)]
    classes = classes_of(models.baseline[0].description, question.regions)
    settings = MeasuringSettings(
        classes,
        tuple(question.metrics),
        tuple(question.tolerances),
        question.workers,
        by_index="positions" in question.accept,
        annotated=models.baseline[0].annotated,
    )
    measured = _measured(models, settings)
    cases = [case.files.case for predictions in models.baseline for case in measured[predictions]]
    notes += filter(None, [positions.note(_displacements(measured)), left_out(settings.annotated, classes, cases)])
    whole = is_uneven(method.trainer for method in models.group.methods)
    facts = TableFacts(
        group=models.group,
        metrics=names,
        notes=tuple(notes),
        costs={method.name: cost(models.predictions[method], whole=whole) for method in models.group.methods},
        collapses=_collapses(models, measured),
        case_groups=_column(models, measured, "--group", question.grouped_by, question.cases_csv),
        folds_in_split=_folds_in_split(models.group),
        seed=question.seed,
    )
    values = _column(models, measured, "--by", question.column, question.cases_csv)
    subgroups = {case: value or EMPTY for case, value in values.items()}
    rows = _rows(models, measured, names)
    tables = [
        _table(models, subset, [row for row in rows if subgroups[row.case] == subgroup.value], facts, subgroup)
        for subgroup, subset in _subsets(measured, question.column, subgroups)
    ]
    return ComparisonResult(
        question=question,
        classes=classes,
        rows=tuple(rows),
        facts=facts,
        tables=tuple(tables or [_table(models, measured, rows, facts)]),
        subgroups=subgroups,
    )


def _table(
    models: PredictedGroup,
    measured: Measurements,
    rows: Sequence[MetricRow],
    facts: TableFacts,
    subgroup: Subgroup | None = None,
) -> ComparisonTable:
    """A table whose notes say what is special about these cases, too."""
    if subgroup:
        facts = replace(facts, subgroup=subgroup, collapses=_collapses(models, measured))
    table = build_table(rows, facts)
    notes = [*facts.notes, *_absent(models, measured), *_versions(models), *table.statistics.notes]
    if subgroup and table.statistics.tricks:
        notes.append(ON_SUBGROUPS)
    return replace(table, notes=tuple(notes))


def _measured(models: PredictedGroup, settings: MeasuringSettings) -> Measurements:
    """All cases of a group; a folder that has to be refused is refused before any work."""
    files = {predictions: predictions.files() for predictions in models.all_predictions}
    return {predictions: evaluate(predictions.folder, cases, settings) for predictions, cases in files.items()}


def _displacements(measured: Measurements) -> dict[str, Displacement]:
    """How far headers put the voxels of each case apart, at most over all predictions of the case."""
    largest: dict[str, Displacement] = {}
    for case in (case for cases in measured.values() for case in cases):
        name = case.files.case
        largest[name] = max(largest.get(name, case.displacement), case.displacement, key=lambda shift: shift.mm)
    return largest


def _subsets(
    measured: Measurements, column: str, subgroups: Mapping[str, str]
) -> Iterator[tuple[Subgroup, Measurements]]:
    """The measured cases of each subgroup."""
    for value in sorted(set(subgroups.values())):
        subset = {
            predictions: [case for case in cases if subgroups[case.files.case] == value]
            for predictions, cases in measured.items()
        }
        yield Subgroup(column, value), subset


def _column(
    models: PredictedGroup, measured: Measurements, option: str, column: str, file: Path | None
) -> dict[str, str]:
    """What ``cases.csv`` says of each case in a column; nothing without a column."""
    if not column:
        return {}
    file = file or Folders.of_environment().raw / models.group.dataset / "cases.csv"
    names = {case.files.case for cases in measured.values() for case in cases}
    return cases_table.column(file, column, names, option=option)


def _folds_in_split(group: Group) -> int:
    """Number of folds that could be trained: those of the split file, or nnU-Net's five."""
    with suppress(ValueError):
        return len(Folders.of_environment().splits(group.dataset) or range(DEFAULT_FOLDS))
    return DEFAULT_FOLDS


def _rows(models: PredictedGroup, measured: Measurements, names: Collection[str]) -> list[MetricRow]:
    """Rows of the long table: the chosen metrics, and calibration where all models have kept probabilities."""
    rows = [
        row
        for predictions, cases in measured.items()
        for row in rows_of(cases, **predictions.columns)
        if row.metric in names
    ]
    # As the models were trained, whatever regions are measured.
    classes = classes_of(models.baseline[0].description)
    calibrations = [
        calibration.rows(predictions, [case.files for case in cases], classes, predictions.annotated)
        for predictions, cases in measured.items()
    ]
    # A method without probabilities in one fold would be judged on other cases than the rest.
    return rows + [row for of_fold in calibrations for row in of_fold] if all(calibrations) else rows


def _collapses(models: PredictedGroup, measured: Measurements) -> dict[str, tuple[Collapse, ...]]:
    return {method.name: tuple(_collapses_of(models, method, measured)) for method in models.group.methods}


def _collapses_of(models: PredictedGroup, method: Method, measured: Measurements) -> Iterator[Collapse]:
    for predictions in models.predictions[method]:
        cases = measured[predictions]
        for label in cases[0].values if cases else ():
            counts = [case.values[label] for case in cases if case.is_annotated(label)]
            predicted = sum(of_case["TP"][0] + of_case["FP"][0] for of_case in counts)
            annotated = sum(of_case["TP"][0] + of_case["FN"][0] for of_case in counts)
            if annotated and not predicted:
                yield Collapse(label, predictions.fold, predictions.run if len(method.runs) > 1 else None)


def _absent(models: PredictedGroup, measured: Measurements) -> Iterator[str]:
    cases = [case for predictions in models.baseline for case in measured[predictions]]
    for label in cases[0].values:
        counts = [case.values[label] for case in cases if case.is_annotated(label)]
        if not any(of_case["TP"][0] + of_case["FN"][0] for of_case in counts):
            yield f"{label} is in none of the labels: its numbers only say whether a model invents it."


def _versions(models: PredictedGroup) -> Iterator[str]:
    group = models.group
    unknown = [
        group.short(method) for method in group.methods if not all(map(nnunet_version, models.predictions[method]))
    ]
    if unknown and len(unknown) < len(group.methods):
        yield f"The version of nnU-Net is not recorded for {some(unknown)}."
