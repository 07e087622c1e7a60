"""From the long table to what it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.statistics.bootstrap import DRAWS, signs, weights
from nnunet_tricks.comparison.statistics.components import common_runs, contrast
from nnunet_tricks.comparison.statistics.deciding import Design
from nnunet_tricks.comparison.statistics.effects import MEAN, Chance, effects_of
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
from nnunet_tricks.comparison.statistics.values import Array, Key, Values, key_of, values_of
from nnunet_tricks.comparison.statistics.verdict import verdict
from nnunet_tricks.comparison.table import Row
from nnunet_tricks.comparison.undefined import best_of, better_of
from nnunet_tricks.utilities.wording import some

COUNTS = ("TP", "FP", "FN", "TN")
ECE, BRIER = "ECE", "Brier"
"""As ``calibration`` calls them, which this module does not import for its readers of images."""

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the rows do not say themselves.

    Attributes:
        baseline: Folder name of the baseline, ``TRAINER__PLANS__CONFIGURATION``; the first method of the rows if
            empty.
        subgroup: For the title.
        groups: What each case belongs to, such as a patient; None if each stands for itself.
        folds_there: Of the split file.
        costs: By folder name of a method's first run.
        metric: Of the verdicts; the first of the rows if empty.
        label: Of the verdicts; the mean of classes, or the only class, if empty.
        seed: Of all that is drawn.
        draws: Of bootstrap and permutation.
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


def analyse(rows: Iterable[Row], asked: Asked | None = None) -> Statistics:
    """All that is to be said of methods that predicted the same cases.

    The same rows in the same order and the same seed give the same numbers.

    Args:
        rows: Of one data set and part, as ``evaluate --out`` writes them.
        asked: What they do not say.

    Raises:
        ValueError: If the rows do not fit together, or there is no such baseline, metric or class.
    """
    asked = asked or Asked()
    if asked.draws < 100:
        raise ValueError(f"draws is {asked.draws}, and at least 100 are needed")
    kept = [row for row in rows if row.metric not in COUNTS]
    calibrations = [row for row in kept if row.metric in (ECE, BRIER)]
    metrics = values_of((row for row in kept if row.metric not in (ECE, BRIER)), asked.groups)
    first = next(iter(metrics.values()))
    metric, labels = asked.metric or first.metric, [*first.labels, *([MEAN] if len(first.labels) > 1 else [])]
    label = asked.label or labels[-1]
    _check("metric", metric, list(metrics))
    _check("label", label, labels)
    order = _order(first.methods, asked.baseline)
    generator = np.random.default_rng(asked.seed)
    drawn, exact = signs(len(first.cases.group_names), asked.draws, generator)
    chance = Chance(weights(first.cases, asked.draws, generator), drawn, exact)
    contrasts = [{place: 1.0, order[0]: -1.0} for place in order[1:]]
    effects = {name: effects_of(values, contrasts, chance, better_of(name)) for name, values in metrics.items()}
    noise = {name: noise_floor(values, order[0]) for name, values in metrics.items()}
    primary = metrics[metric]
    ranks, stability = ranks_of(primary, labels.index(label), better_of(metric), chance.weights, generator)
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
        of_trick = {one: {name: effects[name][number][one] for name in metrics} for one in labels}
        design = _design(primary, order[0], place, labels.index(label), asked, of_trick[label][metric])
        judged = verdict(of_trick[label][metric], noise[metric][label], design)
        tricks.append(
            TrickResult(
                **vars(methods[place]),
                effects=of_trick,
                verdict=judged,
                cost=_cost(asked.costs, first.methods[order[0]], first.methods[place]),
            )
        )
    example = kept[0]
    return Statistics(
        dataset=example.dataset,
        configuration=first.methods[order[0]][2],
        part=example.part,
        subgroup=asked.subgroup,
        folds=first.cases.fold_names,
        label=label,
        metric=metric,
        baseline=methods[order[0]],
        tricks=tuple(tricks),
        noise={one: {name: noise[name][one] for name in metrics} for one in labels},
        interactions=tuple(_interactions(primary, order, chance, label, names)),
        draws=asked.draws,
        stability=stability,
        notes=(*first.cases.notes, *_settled(metrics)),
    )


def _settled(metrics: Mapping[str, Values]) -> Iterator[str]:
    """In which cases predicting nothing counts, as another prediction of the table is a false alarm."""
    found: dict[tuple[str, int, int], dict[float, list[str]]] = {}
    for name, values in metrics.items():
        undefined = (np.any([share > 0 for share in values.filled], axis=0) & ~values.unexplained).sum(1)
        cases = (~np.isnan(values.arrays[0][0])).sum(1)
        for label, count, of in zip(values.labels, undefined, cases, strict=True):
            if count:
                found.setdefault((label, int(count), int(of)), {}).setdefault(best_of(name), []).append(name)
    for (label, count, of), names in found.items():
        counted = " and ".join(f"{best:g} in {some(of_best)}" for best, of_best in names.items())
        yield (
            f"{label}: in {count} of the {of} cases that count some predict nothing, where nothing is, and others a "
            f"false alarm. Nothing counts as {counted} there."
        )


def _check(what: str, asked: str, there: Sequence[str]) -> None:
    if asked not in there:
        raise ValueError(f"{what} '{asked}' is not in the table, which has {', '.join(there)}")


def _order(methods: Sequence[Key], baseline: str) -> list[int]:
    """Places of the methods, the baseline first."""
    names = [_folder(method) for method in methods]
    if baseline and baseline not in names:
        raise ValueError(f"baseline '{baseline}' is not in the table, which has {', '.join(names)}")
    first = names.index(baseline) if baseline else 0
    return [first, *(place for place in range(len(methods)) if place != first)]


def _folder(method: Key) -> str:
    return "__".join(method)


def _short(methods: Sequence[Key]) -> list[str]:
    """Names without what is the same for all."""
    differing = [0, *(part for part in (1, 2) if len({method[part] for method in methods}) > 1)]
    return [" ".join(method[part] for part in differing) for method in methods]


def _means(metrics: Mapping[str, Values], labels: Sequence[str], place: int) -> dict[str, dict[str, float]]:
    means: dict[str, dict[str, float]] = {label: {} for label in labels}
    for name, values in metrics.items():
        array = values.arrays[place]
        defined = ~np.isnan(array)
        counts = defined.sum((0, 2))
        with np.errstate(invalid="ignore"):
            of_labels = np.where(counts > 0, np.where(defined, array, 0.0).sum((0, 2)) / np.maximum(counts, 1), np.nan)
            of_all = of_labels.mean()
        for label, value in zip(labels, [*of_labels, of_all], strict=False):
            means[label][name] = float(value)
    return means


def _calibration(rows: Sequence[Row], method: Key) -> Calibration | None:
    own = [row for row in rows if key_of(row) == method]
    found = {name: [row.value for row in own if row.metric == name] for name in (ECE, BRIER)}
    if not all(found.values()):
        return None
    cases = len({row.case for row in own})
    return Calibration(ece=float(np.nanmean(found[ECE])), brier=float(np.nanmean(found[BRIER])), cases=cases)


def _cost(costs: Mapping[str, Cost], baseline: Key, trick: Key) -> CostRatio:
    one, other = costs.get(_folder(trick), Cost()), costs.get(_folder(baseline), Cost())
    return CostRatio(
        epoch=_ratio(one.epoch, other.epoch),
        memory=_ratio(one.memory, other.memory),
        device_memory=_ratio(one.device_memory, other.device_memory),
    )


def _ratio(one: float | None, other: float | None) -> float:
    return one / other if one and other else math.nan


def _design(values: Values, baseline: int, trick: int, label: int, asked: Asked, effect: Effect) -> Design:
    found, common = contrast(values, {baseline: -1.0, trick: 1.0}), common_runs(values, (baseline, trick))
    folds = len(values.cases.fold_names)
    own_cases = values.cases.fold_names != ("all",)
    hours = [_hours(asked.costs, values.methods[place]) for place in (baseline, trick)]
    return Design(
        folds=folds,
        folds_there=max(asked.folds_there, folds) if own_cases else folds,
        groups=effect.groups,
        runs=(len(common), len(common)) if common else (len(values.runs[baseline]), len(values.runs[trick])),
        together=bool(common),
        variance_cases=float(found.variance_cases[label]),
        training=float(found.training[label]) if found.has_runs else math.nan,
        own=_own(found.own[:, label]),
        equal_folds=float(found.folds[label]),
        hours=(hours[0], hours[1]),
        own_cases=own_cases,
        unit=_unit([asked.costs.get(_folder(values.methods[place]), Cost()) for place in (baseline, trick)]),
        tricks=len(values.methods) - 1,
    )


def _own(variances: Array) -> tuple[float, float]:
    """Of baseline and trick; of their runs' differences twice where these belong together."""
    first, last = float(variances[0]), float(variances[-1])
    return first, last


def _hours(costs: Mapping[str, Cost], method: Key) -> float:
    with suppress(IllegalName):
        return parse(method[0]).epochs * (costs.get(_folder(method), Cost()).epoch or math.nan) / HOUR
    return math.nan


def _unit(costs: Iterable[Cost]) -> str:
    """What the hours are of: a queue that recorded memory, but none of a GPU, had none."""
    return "hours" if any(cost.memory and not cost.device_memory for cost in costs) else "GPU hours"


def _interactions(
    values: Values, order: Sequence[int], chance: Chance, label: str, names: Sequence[str]
) -> Iterator[Interaction]:
    """Of all pairs of tricks that were trained alone, together and not at all, on the same plans and as long."""
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
        found = effects_of(values, contrasts, chance, better_of(values.metric))
        for pair, of_pair in zip(pairs, found, strict=True):
            yield Interaction(tricks=pair, effect=of_pair[label])


def _added(baseline: str, trainer: str) -> frozenset[str] | None:
    """The tricks that a trainer has beyond its baseline's; None if it lacks some, or differs in more than tricks."""
    try:
        base, other = parse(baseline), parse(trainer)
    except IllegalName:
        return None
    if (base.epochs, base.shared) != (other.epochs, other.shared) or not set(base.tricks) <= set(other.tricks):
        return None
    return frozenset(str(trick) for trick in other.tricks if trick not in base.tricks)
