"""The first table: means over cases, and their differences to the baseline."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.comparison.checks import check, nnunet_version
from nnunet_tricks.comparison.classes import Classes
from nnunet_tricks.comparison.cost import Cost, cost
from nnunet_tricks.comparison.evaluate import Asked, Measured, evaluate, mean, some
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.methods import Group, Method, grouped

METRICS = ("Dice", "IoU", "recall", "precision", "HD95")
MEAN = "mean of classes"
NO_RERUN = (
    "No method was trained twice, so nothing is known about noise: two trainings of the same thing differ too, often "
    "by more than a trick gains. Train the baseline again (nnUNetTrainer_run2) before you believe a difference."
)


@dataclass(frozen=True)
class Score:
    """One metric of one class.

    Attributes:
        mean: Over the cases in which it is defined, of all folds and runs; NaN if it is in none.
        counted: Number of these.
        unit: Of the mean.
        difference: To the baseline's mean; None for the baseline itself.
    """

    mean: float
    counted: int
    unit: str
    difference: float | None = None


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
    scores: Mapping[str, Mapping[str, Score]]
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
    """

    group: Group
    subgroup: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


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
        by: Column of ``cases.csv``.
        cases_csv: That file, if not in the raw data set.

    Raises:
        ValueError: Naming what is missing or differs.
    """
    tables = []
    for group in grouped(predictions, baseline=baseline):
        notes = check(group, folds=folds, accept=accept)
        classes = Classes.of(group.baseline.predictions[0].description)
        classes = classes.with_regions(regions) if regions else classes
        asked = Asked(classes, tuple(metrics), tuple(tolerances), workers)
        measured = _measured(group, asked)
        names = [name for name in asked.names if name not in ("TP", "FP", "FN", "TN")]
        for subgroup, cases in _subgroups(group, measured, by, cases_csv).items():
            within = {one: [case for case in found if case.files.case in cases] for one, found in measured.items()}
            tables.append(_table(group, subgroup, within, names, notes))
    return tables


def _measured(group: Group, asked: Asked) -> dict[Predictions, list[Measured]]:
    """All of a group; where one folder has to be refused, before any work."""
    files = {one: one.files() for method in group.methods for one in method.predictions}
    return {one: evaluate(one.folder, found, asked) for one, found in files.items()}


def _subgroups(
    group: Group, measured: Mapping[Predictions, Sequence[Measured]], by: str | None, file: Path | None
) -> dict[str, set[str]]:
    there = {case.files.case for cases in measured.values() for case in cases}
    if by is None:
        return {"": there}
    from nnunet_tricks.experiment.folders import Folders

    file = file or Folders.of_environment().raw / group.dataset / "cases.csv"
    if not file.is_file():
        raise ValueError(f"--by {by} needs {file}, with a column 'id' and the column '{by}'")
    try:
        # Spreadsheets begin such files with a mark that is no part of the first column's name.
        with file.open(newline="", encoding="utf-8-sig") as table:
            rows = {row.get("id", ""): row for row in csv.DictReader(table)}
    except UnicodeDecodeError:
        raise ValueError(f"--by {by}: {file} is no csv in UTF-8: save it as that") from None
    columns = list(next(iter(rows.values()), {}))
    if by not in columns or "id" not in columns:
        raise ValueError(f"--by {by}: {file} has the columns {', '.join(columns)}, and needs 'id' and '{by}'")
    absent = sorted(there - rows.keys())
    if absent:
        raise ValueError(f"--by {by}: {file} says nothing of {some(absent)}")
    subgroups: dict[str, set[str]] = {}
    for case in there:
        subgroups.setdefault(f"{by} = {rows[case][by] or '(empty)'}", set()).add(case)
    return dict(sorted(subgroups.items()))


def _table(
    group: Group,
    subgroup: str,
    measured: Mapping[Predictions, Sequence[Measured]],
    names: Sequence[str],
    notes: Sequence[str],
) -> Table:
    rows: list[Row] = []
    for method in group.methods:
        cases = [case for one in method.predictions for case in measured[one]]
        scores = _scores(cases, names)
        if rows:
            scores = _with_differences(scores, rows[0].scores)
        collapsed = tuple(_collapsed(method, measured))
        rows.append(Row(method, scores, len(cases), collapsed, cost(method.predictions)))
    more = [*_absent(group, measured), *_counted(group, rows), *_reruns(group, measured), *_versions(group)]
    return Table(group, subgroup, tuple(rows), (*notes, *more))


def _scores(cases: Sequence[Measured], names: Sequence[str]) -> dict[str, dict[str, Score]]:
    labels = list(cases[0].values)
    scores = {label: {name: _score(cases, label, name) for name in names} for label in labels}
    if len(labels) > 1:
        scores[MEAN] = {name: _mean_of([scores[label][name] for label in labels]) for name in names}
    return scores


def _score(cases: Sequence[Measured], label: str, name: str) -> Score:
    values = [case.values[label][name][0] for case in cases]
    counted = sum(not math.isnan(value) for value in values)
    return Score(mean(values), counted, cases[0].values[label][name][1])


def _mean_of(scores: Sequence[Score]) -> Score:
    """As nnU-Net's foreground mean: undefined if it is for one class."""
    means = [score.mean for score in scores]
    total = math.nan if any(map(math.isnan, means)) else sum(means) / len(means)
    return Score(total, min(score.counted for score in scores), scores[0].unit)


def _with_differences(
    scores: Mapping[str, Mapping[str, Score]], baseline: Mapping[str, Mapping[str, Score]]
) -> dict[str, dict[str, Score]]:
    return {
        label: {
            name: Score(score.mean, score.counted, score.unit, score.mean - baseline[label][name].mean)
            for name, score in metrics.items()
        }
        for label, metrics in scores.items()
    }


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


def _counted(group: Group, rows: Sequence[Row]) -> Iterator[str]:
    """Where a class is absent, Dice is undefined until somebody predicts it."""
    for label, metrics in rows[0].scores.items():
        differing = [
            f"{name} ({', '.join(str(row.scores[label][name].counted) for row in rows)})"
            for name in metrics
            if label != MEAN and len({row.scores[label][name].counted / row.cases for row in rows}) > 1
        ]
        if differing:
            yield (
                f"{label}: not the same number of cases counts for each method, as some metrics are defined in cases "
                f"without it only if it is predicted: {some(differing)}"
            )


def _reruns(group: Group, measured: Mapping[Predictions, Sequence[Measured]]) -> Iterator[str]:
    repeated = [method for method in group.methods if len(method.runs) > 1]
    if not repeated:
        yield NO_RERUN
    for method in repeated:
        means = []
        for run in method.runs:
            cases = [case for one in method.predictions if one.run == run for case in measured[one]]
            label = next(iter(cases[0].values))
            name = next(name for name in cases[0].values[label] if name not in ("TP", "FP", "FN", "TN"))
            means.append(_score(cases, label, name).mean)
        yield (
            f"{len(method.runs)} runs of {group.short(method)} differ by {max(means) - min(means):.3g} in {name} of "
            f"{label}; nothing smaller than that is a difference."
        )


def _versions(group: Group) -> Iterator[str]:
    unknown = [group.short(method) for method in group.methods if not all(map(nnunet_version, method.predictions))]
    if unknown and len(unknown) < len(group.methods):
        yield f"The version of nnU-Net is not recorded for {some(unknown)}."
