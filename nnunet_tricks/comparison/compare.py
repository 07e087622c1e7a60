"""The first table: means over cases, and their differences to the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnunet_tricks.comparison import calibration, cases_table, positions
from nnunet_tricks.comparison.checks import check, nnunet_version
from nnunet_tricks.comparison.cost import Cost, cost
from nnunet_tricks.comparison.evaluate import Asked, Measured, evaluate
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.methods import Group, Method, grouped
from nnunet_tricks.comparison.metrics import shown
from nnunet_tricks.comparison.positions import Apart
from nnunet_tricks.comparison.scores import Scores, scores_of
from nnunet_tricks.comparison.statistics.analyse import COUNTS, AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.model import Statistics
from nnunet_tricks.comparison.table import Row as CaseRow
from nnunet_tricks.comparison.table import rows_of
from nnunet_tricks.comparison.undefined import Numbers, completed
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.wording import some

DEFAULT_FOLDS = 5
METRICS = ("Dice", "IoU", "recall", "precision", "HD95")
OF_SUBGROUPS = (
    "Words and p values of subgroups are not corrected for their number: of twenty one shows what is not there."
)


@dataclass(frozen=True)
class Row:
    """What came out for one method.

    Attributes:
        method: How it was trained.
        scores: By class and metric.
        cases: Number of predictions, of all runs.
        collapsed: Classes, with folds, of which nothing at all was predicted though they are there.
        cost: Of its trainings.
    """

    method: Method
    scores: Scores
    cases: int
    collapsed: tuple[str, ...]
    cost: Cost


@dataclass(frozen=True)
class Table:
    """Methods on the same cases.

    Attributes:
        group: What was compared.
        subgroup: Value of the column that cases were sorted by, or empty.
        rows: The baseline first.
        notes: What has to be known to read it.
        cases: Every number of every case, as the long table has them.
        asked: What the statistics have to know besides.
        statistics: What the differences are worth.
    """

    group: Group
    subgroup: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    cases: tuple[CaseRow, ...] = ()
    asked: AnalysisOptions = field(default_factory=AnalysisOptions)
    statistics: Statistics | None = None


def compare(
    predictions: Sequence[Predictions],
    *,
    metrics: Sequence[str] = METRICS,
    tolerances: Sequence[float] = (1.0, 2.0),
    regions: Sequence[str] = (),
    workers: int = 1,
    baseline: str | None = None,
    folds: Collection[str] | None = None,
    accept: Collection[str] = (),
    by: str | None = None,
    cases_csv: Path | None = None,
    groups: str | None = None,
    seed: int = 0,
) -> list[Table]:
    """Compare models with their baseline, one table for each data set, part and subgroup.

    Args:
        predictions: Of all models; ``folders.find`` gives those of a result folder.
        metrics: Names or families.
        tolerances: Of the surface Dice.
        regions: Unions of labels, such as ``kidney=1+2``, instead of the classes.
        workers: So many processes measure.
        baseline: Trainer to compare with.
        folds: Those that were asked for; if None, all of the split file must be there.
        accept: Differences between folders that become footnotes.
        by: Column of ``cases.csv``; a table for each of its values.
        cases_csv: That file, if not in the raw data set.
        groups: Column of ``cases.csv`` with what a case belongs to, such as a patient: intervals draw these.
        seed: Of what the statistics draw.

    Raises:
        ValueError: Naming what is missing or differs.
    """
    _judged(metrics, tolerances)
    tables = []
    for group in grouped(predictions, baseline=baseline):
        notes = check(group, folds=folds, accept=accept)
        classes = Classes.of(group.baseline.predictions[0].description)
        classes = classes.with_regions(regions) if regions else classes
        asked = Asked(classes, tuple(metrics), tuple(tolerances), workers, by_index="positions" in accept)
        measured = _measured(group, asked)
        notes += filter(None, [positions.note(_apart(measured))])
        names = _judged(metrics, tolerances)
        of_cases = {} if groups is None else _column(group, measured, "--group", groups, cases_csv)
        for subgroup, cases in _subgroups(group, measured, by, cases_csv).items():
            within = {one: [case for case in found if case.files.case in cases] for one, found in measured.items()}
            asked_of = AnalysisOptions(
                baseline=group.baseline.name,
                subgroup=subgroup,
                groups=of_cases or None,
                folds_there=_folds_there(group),
                seed=seed,
            )
            tables.append(_table(group, subgroup, within, names, notes, asked_of))
    return tables


def _judged(metrics: Sequence[str], tolerances: Sequence[float]) -> list[str]:
    """Names of the metrics that methods are judged by.

    Raises:
        ValueError: If some are counts, of which large objects have most.
    """
    names = shown(metrics, tolerances)
    counts = [name for name in names if name in COUNTS]
    if counts:
        raise ValueError(
            f"--metrics asks for {some(counts)}, and methods are not judged by counts of voxels: take others, such as "
            "Dice; 'nnunet-tricks evaluate FOLDER --out cases.csv' writes the counts of every case"
        )
    return names


def _measured(group: Group, asked: Asked) -> dict[Predictions, list[Measured]]:
    """All of a group; where one folder has to be refused, before any work."""
    files = {one: one.files() for method in group.methods for one in method.predictions}
    return {one: evaluate(one.folder, found, asked) for one, found in files.items()}


def _apart(measured: Mapping[Predictions, Sequence[Measured]]) -> dict[str, Apart]:
    """How far headers put the voxels of each case apart: in all predictions of it, at most."""
    found: dict[str, Apart] = {}
    for one in (case for cases in measured.values() for case in cases):
        name = one.files.case
        found[name] = max(found.get(name, one.apart), one.apart, key=lambda apart: apart.mm)
    return found


def _subgroups(
    group: Group, measured: Mapping[Predictions, Sequence[Measured]], by: str | None, file: Path | None
) -> dict[str, set[str]]:
    if by is None:
        return {"": _case_names(measured)}
    subgroups: dict[str, set[str]] = {}
    for case, word in _column(group, measured, "--by", by, file).items():
        subgroups.setdefault(f"{by} = {word or '(empty)'}", set()).add(case)
    return dict(sorted(subgroups.items()))


def _case_names(measured: Mapping[Predictions, Sequence[Measured]]) -> set[str]:
    return {case.files.case for cases in measured.values() for case in cases}


def _column(
    group: Group, measured: Mapping[Predictions, Sequence[Measured]], option: str, column: str, file: Path | None
) -> dict[str, str]:
    """What ``cases.csv`` says of each case in a column."""
    file = file or Folders.of_environment().raw / group.dataset / "cases.csv"
    return cases_table.column(file, column, _case_names(measured), option=option)


def _folds_there(group: Group) -> int:
    """Folds that could be trained: those of the split file, or nnU-Net's five."""
    with suppress(ValueError):
        return len(Folders.of_environment().splits(group.dataset) or range(DEFAULT_FOLDS))
    return DEFAULT_FOLDS


def _table(
    group: Group,
    subgroup: str,
    measured: Mapping[Predictions, Sequence[Measured]],
    names: Sequence[str],
    notes: Sequence[str],
    asked: AnalysisOptions,
) -> Table:
    rows: list[Row] = []
    values = completed(
        [
            [(case.files.case, _of(case.values, names)) for one in method.predictions for case in measured[one]]
            for method in group.methods
        ]
    )
    for method, cases in zip(group.methods, values, strict=True):
        scores = scores_of(cases, names, rows[0].scores if rows else None)
        collapsed = tuple(_collapsed(method, measured))
        rows.append(Row(method, scores, len(cases), collapsed, cost(method.predictions)))
    more = [*_absent(group, measured), *_versions(group)]
    long = tuple(row for one, found in measured.items() for row in rows_of(found, **one.columns) if row.metric in names)
    classes = Classes.of(group.baseline.predictions[0].description)
    kept = [calibration.rows(one, [case.files for case in found], classes) for one, found in measured.items()]
    # A method without probabilities in one fold would be judged on other cases than the rest.
    long += tuple(row for of_fold in kept for row in of_fold) if all(kept) else ()
    costs = {row.method.name: row.cost for row in rows}
    asked = replace(asked, costs=costs, metric=names[0])
    found = analyse(long, asked)
    more += [*found.notes, *([OF_SUBGROUPS] if subgroup and found.tricks else [])]
    return Table(group, subgroup, tuple(rows), (*notes, *more), long, asked, found)


def _of(values: Numbers, names: Sequence[str]) -> Numbers:
    """Some of the metrics."""
    return {label: {name: metrics[name] for name in names} for label, metrics in values.items()}


def _collapsed(method: Method, measured: Mapping[Predictions, Sequence[Measured]]) -> Iterator[str]:
    for one in method.predictions:
        for label in measured[one][0].values if measured[one] else ():
            metrics = [case.values[label] for case in measured[one]]
            predicted = sum(values["TP"][0] + values["FP"][0] for values in metrics)
            there = sum(values["TP"][0] + values["FN"][0] for values in metrics)
            if there and not predicted:
                yield f"{label} in fold {one.fold}" + (f" of run {one.run}" if len(method.runs) > 1 else "")


def _absent(group: Group, measured: Mapping[Predictions, Sequence[Measured]]) -> Iterator[str]:
    cases = [case for one in group.baseline.predictions for case in measured[one]]
    for label in cases[0].values:
        if not any(case.values[label]["TP"][0] + case.values[label]["FN"][0] for case in cases):
            yield f"{label} is in none of the labels: its numbers say only whether it is invented."


def _versions(group: Group) -> Iterator[str]:
    unknown = [group.short(method) for method in group.methods if not all(map(nnunet_version, method.predictions))]
    if unknown and len(unknown) < len(group.methods):
        yield f"The version of nnU-Net is not recorded for {some(unknown)}."
