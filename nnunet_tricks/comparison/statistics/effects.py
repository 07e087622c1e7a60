"""Effects of every trick in every class and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.rounding import rounded
from nnunet_tricks.comparison.statistics.bootstrap import SmallIntegers, moved_by
from nnunet_tricks.comparison.statistics.components import Contrast, arrays_of, contrast, mean_of_runs
from nnunet_tricks.comparison.statistics.interval import detectable, false_claim, freedom, limits, p_values
from nnunet_tricks.comparison.statistics.model import CaseDifference, Effect, Interval, Significance
from nnunet_tricks.comparison.statistics.multiple import holm
from nnunet_tricks.comparison.statistics.significance import permutation, t_test, wilcoxon
from nnunet_tricks.comparison.statistics.values import Array, Values, nanmean
from nnunet_tricks.comparison.undefined import span_of

MEAN = "mean of classes"
TIE = 0.01
"""Largest difference that counts as a tie, in the metric's unit."""


@dataclass(frozen=True)
class Resampling:
    """The random draws that all effects share, which makes the effects comparable.

    Attributes:
        weights: Number of times that each group was drawn, minus one: draws x groups.
        signs: Signs of a permutation: draws x groups.
        exact: Whether these are all possible signs.
    """

    weights: SmallIntegers
    signs: SmallIntegers
    exact: bool


@dataclass(frozen=True)
class _ClassContrast:
    """One contrast in one class, before Holm's correction.

    Attributes:
        by_case: Value of each case. For the mean of classes it is the mean of the classes that the case has.
        by_group: Contribution of each group to the difference.
        groups: Number of groups that have a value.
        wilcoxon: P value of Wilcoxon's test.
        t_test: P value of the t-test.
    """

    by_case: Array
    by_group: Array
    groups: int
    wilcoxon: float
    t_test: float


def effects_of(
    values: Values, contrasts: Sequence[Mapping[int, float]], resampling: Resampling, better: str
) -> list[dict[str, Effect]]:
    """The effects of contrasts by class; Holm's correction is over the contrasts.

    Args:
        values: Values of one metric.
        contrasts: Weights of the methods by their index: +1 for a trick, -1 for the baseline.
        resampling: Random draws that all effects share.
        better: Direction of the metric: ``higher``, ``lower`` or ``zero``.
    """
    if not contrasts:
        return []
    differences = [contrast(values, weights) for weights in contrasts]
    labels = [*values.labels, *([MEAN] if len(values.labels) > 1 else [])]
    moved = np.split(
        moved_by(resampling.weights, np.concatenate([difference.influence for difference in differences], axis=1)),
        len(differences),
        axis=1,
    )
    parts = [[_part(values, difference, place) for place in range(len(labels))] for difference in differences]
    sums = np.stack([part.by_group for of_contrast in parts for part in of_contrast], axis=1)
    infinite = ~np.isfinite(sums).all(0)
    permuted = permutation(np.where(infinite, 0.0, sums), resampling.signs, exact=resampling.exact)
    permuted = np.where(infinite, np.nan, permuted).reshape(len(differences), len(labels))
    p = [p_values(difference) for difference in differences]
    ends = [limits(*pair) for pair in zip(differences, moved, strict=True)]
    effects: list[dict[str, Effect]] = [{} for _ in differences]
    for place, label in enumerate(labels):
        tests = {
            "p": _corrected([of_contrast[place] for of_contrast in p]),
            "wilcoxon": _corrected([of_contrast[place].wilcoxon for of_contrast in parts]),
            "permutation": _corrected(list(permuted[:, place])),
            "t_test": _corrected([of_contrast[place].t_test for of_contrast in parts]),
        }
        for number, (difference, weights) in enumerate(zip(differences, contrasts, strict=True)):
            most = _most(values.metric, weights)
            low, high = (float(np.clip(end[place], -most, most)) for end in ends[number])
            of_tests = {name: test[number] for name, test in tests.items()}
            effects[number][label] = _effect(
                values, difference, place, parts[number][place], Interval(low, high), of_tests, label, better, weights
            )
    return effects


def _most(metric: str, weights: Mapping[int, float]) -> float:
    """The largest value of a contrast: with few runs, Student's quantiles reach beyond what is possible."""
    return span_of(metric) * sum(weight for weight in weights.values() if weight > 0)


def _corrected(p: Sequence[float]) -> list[Significance]:
    return [Significance(p=float(single), holm=float(adjusted)) for single, adjusted in zip(p, holm(p), strict=True)]


@np.errstate(invalid="ignore")  # infinitely better in one class or case, infinitely worse in another
def _part(values: Values, difference: Contrast, place: int) -> _ClassContrast:
    if place < len(values.labels):
        by_case = shares = difference.by_case[:, place]
    else:
        # A case's value is the mean of the classes that it has. Its share in the mean of classes is another number:
        # there all classes weigh the same, however few cases have one of them.
        of_classes = difference.by_case
        counts = (~np.isnan(of_classes)).sum(0)
        by_case = nanmean(of_classes.T)
        shares = np.where(np.isnan(of_classes), 0.0, of_classes * len(of_classes) / np.maximum(counts, 1))
        shares = np.where(np.isnan(by_case), np.nan, shares.mean(1))
        if (counts == 0).any():
            by_case = shares = np.full_like(by_case, np.nan)
        by_case = rounded(by_case, values.scale)
    defined = ~np.isnan(by_case)
    present = values.cases.summed(defined.astype(np.float64))
    means = values.cases.summed(np.where(defined, by_case, 0.0))[present > 0] / present[present > 0]
    by_group = values.cases.summed(np.where(defined, shares, 0.0))
    return _ClassContrast(
        by_case, by_group, len(means), wilcoxon(rounded(means, values.scale)), t_test(by_case[defined])
    )


def _effect(
    values: Values,
    contrasted: Contrast,
    place: int,
    part: _ClassContrast,
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
    has_runs = contrasted.has_runs
    one_sided, unexplained, infinite = _special_cases(values, place, weights)
    threshold = TIE * (1 + 1e-9)
    least = detectable(
        contrasted.variance_cases, contrasted.freedom_cases, contrasted.trainings, contrasted.freedom_trainings
    )
    return Effect(
        label=label,
        metric=values.metric,
        unit=values.unit,
        better=better,
        difference=float(contrasted.value[place]),
        interval=interval,
        has_runs=has_runs,
        cases=len(pairs),
        one_sided=one_sided,
        unexplained=unexplained,
        infinite=infinite,
        groups=part.groups,
        error_cases=float(np.sqrt(contrasted.variance_cases[place])),
        error_runs=float(np.sqrt(contrasted.variance_runs[place])) if has_runs else float("nan"),
        freedom=float(freedom(contrasted)[place]),
        detectable=float(np.where(least[place] > _most(values.metric, weights), np.inf, least[place])),
        **tests,
        false_claim=tests["p"].p / 2 if has_runs else float("nan"),
        false_claim_cases=false_claim(by_case),
        wins=int((gains > threshold).sum()),
        ties=int((np.abs(gains) <= threshold).sum()),
        losses=int((gains < -threshold).sum()),
        tie=TIE,
        differences=pairs,
    )


def _special_cases(values: Values, place: int, weights: Mapping[int, float]) -> tuple[int, int, int]:
    """Numbers of cases defined for one side only, of those among them without a known reason, and of infinite ones."""
    labels = [place] if place < len(values.labels) else list(range(len(values.labels)))
    filled = np.stack([values.filled[method][labels] for method in weights])
    differ = np.ptp(filled, axis=0) > 0
    unexplained = differ & values.unexplained[labels]
    infinite = np.any([np.isinf(values.arrays[method][:, labels]).any(0) for method in weights], axis=0)
    counts = [int(mask.any(0).sum()) for mask in (differ, unexplained, infinite)]
    return counts[0], counts[1], counts[2]


def _pairs(
    values: Values, place: int, part: _ClassContrast, weights: Mapping[int, float]
) -> tuple[CaseDifference, ...]:
    cases = values.cases
    arrays, _ = arrays_of(values, weights)
    means = {method: mean_of_runs(array) for method, array in arrays.items()}
    sides = []
    for sign in (-1.0, 1.0):
        of_side = [sign * weight * means[method] for method, weight in weights.items() if sign * weight > 0]
        with np.errstate(invalid="ignore"):
            side = np.sum(of_side, axis=0)
        sides.append(side[place] if place < len(values.labels) else nanmean(side))
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
