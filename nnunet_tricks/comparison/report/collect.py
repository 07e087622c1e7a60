"""Gather what a report needs while models, images and logs are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.catalogue.naming import model_folder
from nnunet_tricks.comparison import traits
from nnunet_tricks.comparison.compare import ComparisonResult
from nnunet_tricks.comparison.curves import curve
from nnunet_tricks.comparison.folders import VALIDATION, Predictions
from nnunet_tricks.comparison.grouping import PredictedGroup
from nnunet_tricks.comparison.methods import Method
from nnunet_tricks.comparison.report.facts import (
    Facts,
    GalleryCase,
    ReportMethod,
    ReportQuestion,
    ReportSection,
    TrainingLog,
)
from nnunet_tricks.comparison.report.pictures import picture
from nnunet_tricks.comparison.statistics.effects import MEAN
from nnunet_tricks.comparison.statistics.model import CaseDifference, Effect
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.undefined import best_of
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import STATE, Case, Folders
from nnunet_tricks.nnunet.parts import Part

EACH = 2
"""Number of cases that are shown of those that a trick helped most, and of those that it hurt most."""


@dataclass(frozen=True)
class ReportedComparison:
    """A comparison, and the models that it is about.

    Attributes:
        result: Result of the comparison.
        models: Predictions of the models.
        name: Name of the comparison; empty for the only one of an experiment.
    """

    result: ComparisonResult
    models: PredictedGroup
    name: str = ""


def collect(
    comparisons: Sequence[ReportedComparison], question: ReportQuestion, *, pictures: bool = True
) -> tuple[list[MetricRow], Facts]:
    """The long table and the facts of a report.

    Args:
        comparisons: Comparisons that the report shows.
        question: Question that was asked.
        pictures: Whether slices of images are in it.

    Raises:
        ValueError: If there is nothing to compare, an image is broken, or the same name stands for two regions.
    """
    for comparison in comparisons:
        group = comparison.result.group
        if len(group.methods) < 2:
            raise ValueError(f"a report needs two methods at least, and {group.dataset} has {group.baseline.name} only")
    sections = tuple(_section(comparison, pictures=pictures) for comparison in comparisons)
    first = comparisons[0].result.facts
    return _rows(comparisons), Facts(question=question, sections=sections, draws=first.draws, seed=first.seed)


def _rows(comparisons: Sequence[ReportedComparison]) -> list[MetricRow]:
    """Every number once: comparisons of one experiment share their baseline."""
    rows: dict[tuple[Any, ...], MetricRow] = {}
    for row in (row for comparison in comparisons for row in comparison.result.rows):
        model = (row.dataset, row.configuration, row.plans, row.trainer, row.fold, row.part)
        known = rows.setdefault((*model, row.case, row.label, row.metric), row)
        if known != row and known.value == known.value:
            raise ValueError(
                f"{row.label} stands for two regions of {row.dataset}: report these comparisons one by one"
            )
    return list(rows.values())


def _section(comparison: ReportedComparison, *, pictures: bool) -> ReportSection:
    result, models = comparison.result, comparison.models
    group, facts, question = result.group, result.facts, result.question
    raw_cases = _raw_cases(models)
    return ReportSection(
        name=comparison.name,
        dataset=group.dataset,
        part=group.part,
        folds=group.folds,
        classes=tuple(result.classes.values),
        metrics=facts.metrics,
        ways=tuple(_method(comparison, method) for method in group.methods),
        notes=tuple(dict.fromkeys(note for table in result.tables for note in table.notes)),
        folds_there=facts.folds_in_split,
        column=question.column,
        subgroups=result.subgroups,
        grouped_by=question.grouped_by,
        groups=facts.case_groups,
        traits=_traits(models, raw_cases, result.classes),
        shown=tuple(_gallery(comparison, raw_cases)) if pictures else (),
    )


def _method(comparison: ReportedComparison, method: Method) -> ReportMethod:
    facts = comparison.result.facts
    cost = facts.costs[method.name]
    return ReportMethod(
        name=facts.group.short(method),
        trainer=method.trainer,
        plans=method.plans,
        configuration=method.configuration,
        runs=method.runs,
        collapsed=facts.collapses[method.name],
        seconds=cost.epoch,
        memory=cost.memory,
        device_memory=cost.device_memory,
        seconds_per_case=cost.case,
        seconds_of_training=cost.training,
        trainings=tuple(
            TrainingLog(fold=training.fold, run=training.run, epochs=tuple(curve(training.fold_folder)))
            for training in comparison.models.predictions[method]
        ),
    )


def _raw_cases(models: PredictedGroup) -> dict[str, Case]:
    """Raw images of every case, as far as they are still there."""
    folders, dataset = Folders.of_environment(), models.group.dataset
    if not (folders.raw / dataset).is_dir():
        return {}
    cases: dict[str, Case] = {}
    for prediction in models.baseline:
        part = Part(folders, dataset, "test" if prediction.on_test else VALIDATION, prediction.fold)
        cases |= folders.cases(dataset, part.source)
    return cases


def _traits(models: PredictedGroup, raw_cases: Mapping[str, Case], classes: Classes) -> dict[str, traits.Values]:
    """Traits of the cases, measured once for a data set and kept beside the logs of its trainings."""
    truths = {files.case: files.truth for prediction in models.baseline for files in prediction.files()}
    sources = [
        traits.TraitSource(case, truth, raw_cases[case].images if case in raw_cases else ())
        for case, truth in truths.items()
    ]
    results = models.baseline[0].model.parent.parent
    return traits.measure(sources, classes, results / STATE / models.group.dataset / "traits.json")


def _gallery(comparison: ReportedComparison, raw_cases: Mapping[str, Case]) -> Iterator[GalleryCase]:
    """Pictures of the cases that each trick helped and hurt most."""
    result, models = comparison.result, comparison.models
    group, statistics = result.group, result.table.statistics
    channels = models.baseline[0].description.get("channel_names", {})
    ct = str(next(iter(channels.values()), "")).lower() == "ct"
    methods = {group.short(method): method for method in group.methods}
    for trick in statistics.tricks:
        effect = statistics.primary(trick)
        for case in chosen(effect):
            if case.case not in raw_cases:
                continue
            baseline = _nearest(models.baseline, result.rows, effect, case, case.baseline)
            with_trick = _nearest(models.predictions[methods[trick.name]], result.rows, effect, case, case.trick)
            files = {files.case: files for files in baseline.files()}[case.case]
            drawing = picture(
                raw_cases[case.case].images,
                files.truth,
                files.prediction,
                with_trick.folder / files.prediction.name,
                result.classes,
                ct=ct,
            )
            yield GalleryCase(trick=trick.name, case=case.case, runs=(baseline.run, with_trick.run), picture=drawing)


def chosen(effect: Effect) -> list[CaseDifference]:
    """The cases that are shown: those that gained most, then those that lost most."""
    ranked = effect.ranked()
    best, worst = ranked[:EACH], ranked[max(EACH, len(ranked) - EACH) :]
    return [*best, *reversed(worst)]


def _nearest(
    predictions: Sequence[Predictions], rows: Sequence[MetricRow], effect: Effect, case: CaseDifference, mean: float
) -> Predictions:
    """The prediction of a case whose value is nearest to the mean over runs."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.case == case.case and row.metric == effect.metric and effect.label in (row.label, MEAN):
            model = model_folder(row.trainer, row.plans, row.configuration)
            values.setdefault((model, row.fold), []).append(row.value)

    def distance(prediction: Predictions) -> float:
        # Who predicts nothing where nothing is has the best value there: see ``undefined``.
        best = best_of(effect.metric)
        defined = [value if value == value else best for value in values[prediction.model.name, prediction.fold]]
        return abs(sum(defined) / len(defined) - mean) if defined else float("inf")

    own = [prediction for prediction in predictions if (prediction.model.name, prediction.fold) in values]
    return min(own, key=distance)


def of_spec(file: Path) -> ReportQuestion:
    """What an experiment file asks, and whether it was locked before the trainings."""
    from nnunet_tricks.experiment.frozen import state_of
    from nnunet_tricks.experiment.spec import read_experiment

    experiment, state = read_experiment(file), state_of(file, Folders.of_environment())
    return ReportQuestion(
        name=experiment.name,
        description=experiment.description,
        spec=file.read_text(encoding="utf-8"),
        locked=state.holds,
        lock=state.sentence,
    )


def of_folders(comparisons: Sequence[ReportedComparison]) -> ReportQuestion:
    """What is asked where folders are compared."""
    return ReportQuestion(
        name=", ".join(dict.fromkeys(comparison.result.group.dataset for comparison in comparisons)),
        lock="There is no experiment file, so there is no record of what was asked before the trainings.",
    )
