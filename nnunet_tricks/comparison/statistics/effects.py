"""Effects of every trick in every class and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.rounding import rounded
from nnunet_tricks.comparison.statistics.bootstrap import Small, moved_by
from nnunet_tricks.comparison.statistics.components import Contrast, arrays_of, contrast, mean_of_runs
from nnunet_tricks.comparison.statistics.interval import detectable, false_claim, freedom, limits, p_values
from nnunet_tricks.comparison.statistics.model import CaseDifference, Effect, Interval, Significance
from nnunet_tricks.comparison.statistics.multiple import holm
from nnunet_tricks.comparison.statistics.significance import permutation, t_test, wilcoxon
from nnunet_tricks.comparison.statistics.values import Array, Values

MEAN = "mean of classes"
TIE = 0.01
"""Differences up to this, in the metric's unit, are ties."""


@dataclass(frozen=True)
class Chance:
    """What was drawn once for all effects: drawing the same for all makes them comparable.

    Attributes:
        weights: How often each group was drawn, less one: draws x groups.
        signs: Of a permutation: draws x groups.
        exact: Whether these are all signs.
    """

    weights: Small
    signs: Small
    exact: bool


@dataclass(frozen=True)
class _Part:
    """One contrast in one class, before Holm's correction.

    Attributes:
        by_case: What was measured: of the mean of classes, the mean of those that a case has.
        by_group: What each group adds to the difference.
        groups: How many have any.
        wilcoxon: P value.
        t_test: P value.
    """

    by_case: Array
    by_group: Array
    groups: int
    wilcoxon: float
    t_test: float


def effects_of(
    values: Values, contrasts: Sequence[Mapping[int, float]], chance: Chance, better: str
) -> list[dict[str, Effect]]:
    """The effects of contrasts by class; Holm's correction is over the contrasts.

    Args:
        values: Of one metric.
        contrasts: Weights of the methods by their places; +1 for a trick, -1 for the baseline.
        chance: What was drawn.
        better: Which values are better.
    """
    if not contrasts:
        return []
    found = [contrast(values, weights) for weights in contrasts]
    labels = [*values.labels, *([MEAN] if len(values.labels) > 1 else [])]
    moved = np.split(
        moved_by(chance.weights, np.concatenate([one.influence for one in found], axis=1)), len(found), axis=1
    )
    parts = [[_part(values, one, place) for place in range(len(labels))] for one in found]
    sums = np.stack([part.by_group for of_contrast in parts for part in of_contrast], axis=1)
    endless = ~np.isfinite(sums).all(0)
    permuted = permutation(np.where(endless, 0.0, sums), chance.signs, exact=chance.exact)
    permuted = np.where(endless, np.nan, permuted).reshape(len(found), len(labels))
    p, ends = [p_values(one) for one in found], [limits(*pair) for pair in zip(found, moved, strict=True)]
    made: list[dict[str, Effect]] = [{} for _ in found]
    for place, label in enumerate(labels):
        tests = {
            "p": _corrected([one[place] for one in p]),
            "wilcoxon": _corrected([of_contrast[place].wilcoxon for of_contrast in parts]),
            "permutation": _corrected(list(permuted[:, place])),
            "t_test": _corrected([of_contrast[place].t_test for of_contrast in parts]),
        }
        for number, (one, weights) in enumerate(zip(found, contrasts, strict=True)):
            low, high = (float(end[place]) for end in ends[number])
            of_tests = {name: test[number] for name, test in tests.items()}
            made[number][label] = _effect(
                values, one, place, parts[number][place], Interval(low, high), of_tests, label, better, weights
            )
    return made


def _corrected(p: Sequence[float]) -> list[Significance]:
    return [Significance(p=float(one), holm=float(more)) for one, more in zip(p, holm(p), strict=True)]


@np.errstate(invalid="ignore")  # infinitely better in one class or case, infinitely worse in another
def _part(values: Values, found: Contrast, place: int) -> _Part:
    if place < len(values.labels):
        by_case = shares = found.by_case[:, place]
    else:
        # A case's value is the mean of the classes that it has. Its share in the mean of classes is another number:
        # there a class weighs as much as any other, however few cases have it.
        counts = (~np.isnan(found.by_case)).sum(0)
        by_case = _nanmean(found.by_case.T)
        shares = np.where(np.isnan(found.by_case), 0.0, found.by_case * len(found.by_case) / np.maximum(counts, 1))
        shares = np.where(np.isnan(by_case), np.nan, shares.mean(1))
        if (counts == 0).any():
            by_case = shares = np.full_like(by_case, np.nan)
        by_case = rounded(by_case, values.scale)
    defined = ~np.isnan(by_case)
    present = values.cases.summed(defined.astype(np.float64))
    means = values.cases.summed(np.where(defined, by_case, 0.0))[present > 0] / present[present > 0]
    by_group = values.cases.summed(np.where(defined, shares, 0.0))
    return _Part(by_case, by_group, len(means), wilcoxon(rounded(means, values.scale)), t_test(by_case[defined]))


def _effect(
    values: Values,
    found: Contrast,
    place: int,
    part: _Part,
    interval: Interval,
    tests: Mapping[str, Significance],
    label: str,
    better: str,
    weights: Mapping[int, float],
) -> Effect:
    pairs = _pairs(values, place, part, weights)
    by_case = part.by_case[~np.isnan(part.by_case)]
    gains = {"lower": -1.0}.get(better, 1.0) * by_case
    if better == "zero":
        gains = np.array([abs(pair.baseline) - abs(pair.trick) for pair in pairs])
    has_runs = found.has_runs
    one_sided, unexplained, infinite = _told(values, place, weights)
    threshold = TIE * (1 + 1e-9)
    return Effect(
        label=label,
        metric=values.metric,
        unit=values.unit,
        better=better,
        difference=float(found.value[place]),
        interval=interval,
        has_runs=has_runs,
        cases=len(pairs),
        one_sided=one_sided,
        unexplained=unexplained,
        infinite=infinite,
        groups=part.groups,
        error_cases=float(np.sqrt(found.variance_cases[place])),
        error_runs=float(np.sqrt(found.variance_runs[place])) if has_runs else float("nan"),
        freedom=float(freedom(found)[place]),
        detectable=float(
            detectable(found.variance_cases, found.freedom_cases, found.trainings, found.freedom_trainings)[place]
        ),
        **tests,
        false_claim=tests["p"].p / 2 if has_runs else float("nan"),
        false_claim_cases=false_claim(by_case),
        wins=int((gains > threshold).sum()),
        ties=int((np.abs(gains) <= threshold).sum()),
        losses=int((gains < -threshold).sum()),
        tie=TIE,
        differences=pairs,
    )


def _told(values: Values, place: int, weights: Mapping[int, float]) -> tuple[int, int, int]:
    """Cases that are defined for one side only, those of them for no known reason, and those with infinite values."""
    labels = [place] if place < len(values.labels) else list(range(len(values.labels)))
    filled = np.stack([values.filled[method][labels] for method in weights])
    differ = np.ptp(filled, axis=0) > 0
    unexplained = differ & values.unexplained[labels]
    infinite = np.any([np.isinf(values.arrays[method][:, labels]).any(0) for method in weights], axis=0)
    one_sided, unknown, endless = (int(mask.any(0).sum()) for mask in (differ, unexplained, infinite))
    return one_sided, unknown, endless


def _pairs(values: Values, place: int, part: _Part, weights: Mapping[int, float]) -> tuple[CaseDifference, ...]:
    cases = values.cases
    arrays, _ = arrays_of(values, weights)
    means = {method: mean_of_runs(array) for method, array in arrays.items()}
    sides = []
    for sign in (-1.0, 1.0):
        of_side = [sign * weight * means[method] for method, weight in weights.items() if sign * weight > 0]
        with np.errstate(invalid="ignore"):
            side = np.sum(of_side, axis=0)
        sides.append(side[place] if place < len(values.labels) else _nanmean(side))
    baseline, trick = sides
    return tuple(
        CaseDifference(
            case=cases.names[case],
            fold=cases.fold_names[cases.folds[case]],
            group=cases.group_names[cases.groups[case]],
            baseline=float(baseline[case]),
            trick=float(trick[case]),
        )
        for case in np.flatnonzero(~np.isnan(part.by_case))
    )


def _nanmean(array: Array) -> Array:
    """Over the first axis; NaN where nothing is defined."""
    defined = ~np.isnan(array)
    counts = defined.sum(0)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.where(defined, array, 0.0).sum(0) / np.maximum(counts, 1), np.nan)
