"""From the rows of the long table to statistics and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from nnunet_tricks.catalogue.naming import IllegalName, model_folder, parse
from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.statistics.bootstrap import DRAWS, signs, weights
from nnunet_tricks.comparison.statistics.components import common_runs, contrast
from nnunet_tricks.comparison.statistics.deciding import Design
from nnunet_tricks.comparison.statistics.effects import MEAN, Resampling, effects_of
from nnunet_tricks.comparison.statistics.model import (
    Calibration,
    CostRatio,
    Effect,
    Interaction,
    MethodResult,
    Statistics,
    TrickResult,
)
from nnunet_tricks.comparison.statistics.noise import noise_floor
from nnunet_tricks.comparison.statistics.ranks import ranks_of
from nnunet_tricks.comparison.statistics.values import Array, MethodKey, Values, key_of, nanmean, values_of
from nnunet_tricks.comparison.statistics.verdict import verdict
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.undefined import best_of, better_of
from nnunet_tricks.utilities.wording import some

COUNTS = ("TP", "FP", "FN", "TN")
ECE, BRIER = "ECE", "Brier"
"""Names as in ``comparison.calibration``, which is not imported here because it imports readers of images."""

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """Options of the statistics, and facts that the rows do not hold.

    Attributes:
        baseline: Folder name of the baseline, ``TRAINER__PLANS__CONFIGURATION``; the first method of the rows if
            empty.
        subgroup: Subgroup of the cases, for the title.
        groups: Group of each case, such as a patient; None if each case is a group of its own.
        folds_there: Number of folds in the split file.
        costs: Costs by the folder name of a method's first run.
        metric: Metric of the verdicts; the first of the rows if empty.
        label: Class of the verdicts; the mean of classes, or the only class, if empty.
        seed: Seed of all random draws.
        draws: Number of draws of bootstrap and permutation.
    """

    baseline: str = ""
    subgroup: str = ""
    groups: Mapping[str, str] | None = None
    folds_there: int = 5
    costs: Mapping[str, Cost] = field(default_factory=dict)
    metric: str = ""
    label: str = ""
    seed: int = 0
    draws: int = DRAWS


def analyse(rows: Iterable[MetricRow], options: AnalysisOptions | None = None) -> Statistics:
    """Compare methods that predicted the same cases.

    The same rows in the same order and the same seed give the same numbers.

    Args:
        rows: Rows of one data set and part, as ``evaluate --out`` writes them.
        options: Options, and facts that the rows do not hold.

    Raises:
        ValueError: If the rows do not fit together, or there is no such baseline, metric or class.
    """
    options = options or AnalysisOptions()
    if options.draws < 100:
        raise ValueError(f"draws is {options.draws}, and at least 100 are needed")
    kept = [row for row in rows if row.metric not in COUNTS]
    calibrations = [row for row in kept if row.metric in (ECE, BRIER)]
    metrics = values_of((row for row in kept if row.metric not in (ECE, BRIER)), options.groups)
    first = next(iter(metrics.values()))
    metric, labels = options.metric or first.metric, [*first.labels, *([MEAN] if len(first.labels) > 1 else [])]
    label = options.label or labels[-1]
    _check("metric", metric, list(metrics))
    _check("label", label, labels)
    order = _order(first.methods, options.baseline)
    generator = np.random.default_rng(options.seed)
    drawn, exact = signs(len(first.cases.group_names), options.draws, generator)
    resampling = Resampling(weights(first.cases, options.draws, generator), drawn, exact)
    contrasts = [{place: 1.0, order[0]: -1.0} for place in order[1:]]
    effects = {name: effects_of(values, contrasts, resampling, better_of(name)) for name, values in metrics.items()}
    noise = {name: noise_floor(values, order[0]) for name, values in metrics.items()}
    primary = metrics[metric]
    ranks, stability = ranks_of(primary, labels.index(label), better_of(metric), resampling.weights, generator)
    names = _short(first.methods)
    methods = [
        MethodResult(
            name=names[place],
            trainer=first.methods[place][0],
            runs=first.runs[place],
            means=_means(metrics, labels, place),
            ranks=ranks[place],
            calibration=_calibration(calibrations, first.methods[place]),
        )
        for place in range(len(first.methods))
    ]
    tricks = []
    for number, place in enumerate(order[1:]):
        of_trick = {each: {name: effects[name][number][each] for name in metrics} for each in labels}
        design = _design(primary, order[0], place, labels.index(label), options, of_trick[label][metric])
        tricks.append(
            TrickResult(
                **vars(methods[place]),
                effects=of_trick,
                verdict=verdict(of_trick[label][metric], noise[metric][label], design),
                cost=_cost(options.costs, first.methods[order[0]], first.methods[place]),
            )
        )
    example = kept[0]
    return Statistics(
        dataset=example.dataset,
        configuration=first.methods[order[0]][2],
        part=example.part,
        subgroup=options.subgroup,
        folds=first.cases.fold_names,
        label=label,
        metric=metric,
        baseline=methods[order[0]],
        tricks=tuple(tricks),
        noise={each: {name: noise[name][each] for name in metrics} for each in labels},
        interactions=tuple(_interactions(primary, order, resampling, label)),
        draws=options.draws,
        stability=stability,
        notes=(*first.cases.notes, *_notes_on_empty_predictions(metrics)),
    )


def _notes_on_empty_predictions(metrics: Mapping[str, Values]) -> Iterator[str]:
    """Notes on cases in which an empty prediction counts, because another method of the table has a false alarm."""
    counted: dict[tuple[str, int, int], dict[float, list[str]]] = {}
    for name, values in metrics.items():
        undefined = (np.any([share > 0 for share in values.filled], axis=0) & ~values.unexplained).sum(1)
        cases = (~np.isnan(values.arrays[0][0])).sum(1)
        for label, count, total in zip(values.labels, undefined, cases, strict=True):
            if count:
                counted.setdefault((label, int(count), int(total)), {}).setdefault(best_of(name), []).append(name)
    for (label, count, total), names in counted.items():
        bests = " and ".join(f"{best:g} in {some(of_best)}" for best, of_best in names.items())
        yield (
            f"{label}: in {count} of the {total} cases that count some predict nothing where nothing is, and others "
            f"give a false alarm. An empty prediction counts as {bests} there."
        )


def _check(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{what} '{value}' is not in the table, which has {', '.join(allowed)}")


def _order(methods: Sequence[MethodKey], baseline: str) -> list[int]:
    """Indices of the methods, the baseline first."""
    names = [_folder(method) for method in methods]
    if baseline and baseline not in names:
        raise ValueError(f"baseline '{baseline}' is not in the table, which has {', '.join(names)}")
    first = names.index(baseline) if baseline else 0
    return [first, *(place for place in range(len(methods)) if place != first)]


def _folder(method: MethodKey) -> str:
    return model_folder(*method)


def _short(methods: Sequence[MethodKey]) -> list[str]:
    """Names of the methods without the parts that all share."""
    differing = [0, *(part for part in (1, 2) if len({method[part] for method in methods}) > 1)]
    return [" ".join(method[part] for part in differing) for method in methods]


def _means(metrics: Mapping[str, Values], labels: Sequence[str], place: int) -> dict[str, dict[str, float]]:
    means: dict[str, dict[str, float]] = {label: {} for label in labels}
    for name, values in metrics.items():
        of_labels = nanmean(values.arrays[place], axis=(0, 2))
        with np.errstate(invalid="ignore"):
            of_all = of_labels.mean()
        for label, value in zip(labels, [*of_labels, of_all], strict=False):
            means[label][name] = float(value)
    return means


def _calibration(rows: Sequence[MetricRow], method: MethodKey) -> Calibration | None:
    own = [row for row in rows if key_of(row) == method]
    values = {name: [row.value for row in own if row.metric == name] for name in (ECE, BRIER)}
    if not all(values.values()):
        return None
    cases = len({row.case for row in own})
    return Calibration(ece=float(np.nanmean(values[ECE])), brier=float(np.nanmean(values[BRIER])), cases=cases)


def _cost(costs: Mapping[str, Cost], baseline: MethodKey, trick: MethodKey) -> CostRatio:
    own, reference = costs.get(_folder(trick), Cost()), costs.get(_folder(baseline), Cost())
    return CostRatio(
        epoch=_ratio(own.epoch, reference.epoch),
        memory=_ratio(own.memory, reference.memory),
        device_memory=_ratio(own.device_memory, reference.device_memory),
        training=_ratio(own.training, reference.training),
    )


def _ratio(value: float | None, reference: float | None) -> float:
    return value / reference if value and reference else math.nan


def _design(values: Values, baseline: int, trick: int, label: int, options: AnalysisOptions, effect: Effect) -> Design:
    difference, common = contrast(values, {baseline: -1.0, trick: 1.0}), common_runs(values, (baseline, trick))
    folds = len(values.cases.fold_names)
    own_cases = values.cases.fold_names != ("all",)
    hours = [_hours(options.costs, values.methods[place]) for place in (baseline, trick)]
    return Design(
        folds=folds,
        folds_there=max(options.folds_there, folds) if own_cases else folds,
        groups=effect.groups,
        runs=(len(common), len(common)) if common else (len(values.runs[baseline]), len(values.runs[trick])),
        together=bool(common),
        variance_cases=float(difference.variance_cases[label]),
        training=float(difference.training[label]) if difference.has_runs else math.nan,
        own=_own(difference.own[:, label]),
        equal_folds=float(difference.folds[label]),
        hours=(hours[0], hours[1]),
        own_cases=own_cases,
        unit=_unit([options.costs.get(_folder(values.methods[place]), Cost()) for place in (baseline, trick)]),
        tricks=len(values.methods) - 1,
    )


def _own(variances: Array) -> tuple[float, float]:
    """Variances of baseline and trick. Paired runs have a single variance, that of their differences, given twice."""
    first, last = float(variances[0]), float(variances[-1])
    return first, last


def _hours(costs: Mapping[str, Cost], method: MethodKey) -> float:
    own = costs.get(_folder(method), Cost())
    if own.training:
        return own.training / HOUR
    with suppress(IllegalName):
        return parse(method[0]).epochs * (own.epoch or math.nan) / HOUR
    return math.nan


def _unit(costs: Iterable[Cost]) -> str:
    """Unit of the hours. Where the queue recorded memory, but no GPU memory, there was no GPU."""
    return "hours" if any(cost.memory and not cost.device_memory for cost in costs) else "GPU hours"


def _interactions(values: Values, order: Sequence[int], resampling: Resampling, label: str) -> Iterator[Interaction]:
    """Interactions of all pairs of tricks that were trained alone, together and not at all.

    All four trainings must have the same plans, configuration and number of epochs.
    """
    base = values.methods[order[0]]
    places: dict[frozenset[str], int] = {}
    for place in order:
        trainer, *rest = values.methods[place]
        added = _added(base[0], trainer)
        if added is not None and rest == list(base[1:]):
            places.setdefault(added, place)
    alone = sorted(next(iter(tricks)) for tricks in places if len(tricks) == 1)
    pairs = [pair for pair in combinations(alone, 2) if frozenset(pair) in places]
    contrasts = [
        {
            places[frozenset(pair)]: 1.0,
            places[frozenset(pair[:1])]: -1.0,
            places[frozenset(pair[1:])]: -1.0,
            order[0]: 1.0,
        }
        for pair in pairs
    ]
    if contrasts:
        effects = effects_of(values, contrasts, resampling, better_of(values.metric))
        for pair, of_pair in zip(pairs, effects, strict=True):
            yield Interaction(tricks=pair, effect=of_pair[label])


def _added(baseline: str, trainer: str) -> frozenset[str] | None:
    """Tricks that a trainer has in addition to its baseline's. None if it lacks some or differs in other ways."""
    try:
        base, other = parse(baseline), parse(trainer)
    except IllegalName:
        return None
    if (base.epochs, base.shared) != (other.epochs, other.shared) or not set(base.tricks) <= set(other.tricks):
        return None
    return frozenset(str(trick) for trick in other.tricks if trick not in base.tricks)
