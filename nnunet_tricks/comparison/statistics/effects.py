"""Effects of every trick in every class and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.statistics.bootstrap import Drawn
from nnunet_tricks.comparison.statistics.components import Contrast, arrays_of, contrast
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

    weights: Drawn
    signs: Drawn
    exact: bool


@dataclass(frozen=True)
class _Part:
    """One contrast in one class, before Holm's correction."""

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
    moved = np.split(chance.weights @ np.concatenate([one.influence for one in found], axis=1), len(found), axis=1)
    parts = [[_part(values, one, place) for place in range(len(labels))] for one in found]
    sums = np.stack([part.by_group for of_contrast in parts for part in of_contrast], axis=1)
    permuted = permutation(sums, chance.signs, exact=chance.exact).reshape(len(found), len(labels))
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


def _part(values: Values, found: Contrast, place: int) -> _Part:
    if place < len(values.labels):
        by_case = found.by_case[:, place]
    else:
        # So weighted, the mean over cases is the mean of classes even where a class is not in every case.
        counts = np.isfinite(found.by_case).sum(0)
        scaled = found.by_case * len(found.by_case) / np.maximum(counts, 1)
        by_case = np.where(np.isfinite(scaled).any(1), np.where(np.isfinite(scaled), scaled, 0.0).mean(1), np.nan)
        if (counts == 0).any():
            by_case = np.full_like(by_case, np.nan)
    defined = np.isfinite(by_case)
    kept = by_case[defined]
    by_group = values.cases.summed(np.where(defined, by_case, 0.0))
    present = values.cases.summed(defined.astype(np.float64))
    means = by_group[present > 0] / present[present > 0]
    return _Part(by_case, by_group, len(means), wilcoxon(means), t_test(kept))


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
    gains = {"lower": -1.0}.get(better, 1.0) * part.by_case[np.isfinite(part.by_case)]
    if better == "zero":
        gains = np.array([abs(pair.baseline) - abs(pair.trick) for pair in pairs])
    has_runs = found.freedom_runs > 0
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
        groups=part.groups,
        error_cases=float(np.sqrt(found.variance_cases[place])),
        error_runs=float(np.sqrt(found.variance_runs[place])) if has_runs else float("nan"),
        freedom=float(freedom(found)[place]),
        detectable=float(
            detectable(found.variance_cases, found.freedom_cases, found.variance_runs, found.freedom_runs)[place]
        ),
        **tests,
        false_claim=tests["p"].p / 2 if has_runs else float("nan"),
        false_claim_cases=false_claim(part.by_case[np.isfinite(part.by_case)]),
        wins=int((gains > threshold).sum()),
        ties=int((np.abs(gains) <= threshold).sum()),
        losses=int((gains < -threshold).sum()),
        tie=TIE,
        differences=pairs,
    )


def _pairs(values: Values, place: int, part: _Part, weights: Mapping[int, float]) -> tuple[CaseDifference, ...]:
    cases = values.cases
    arrays, _ = arrays_of(values, weights)
    minus = [place for place, weight in weights.items() if weight < 0]
    with np.errstate(invalid="ignore"):
        means = np.sum([-weights[one] * _nanmean(arrays[one]) for one in minus], axis=0)
    baseline = means[place] if place < len(values.labels) else _nanmean(means)
    return tuple(
        CaseDifference(
            case=cases.names[case],
            fold=cases.fold_names[cases.folds[case]],
            group=cases.group_names[cases.groups[case]],
            baseline=float(baseline[case]),
            trick=float(baseline[case] + part.by_case[case]),
        )
        for case in np.flatnonzero(np.isfinite(part.by_case))
    )


def _nanmean(array: Array) -> Array:
    """Over the first axis; NaN where nothing is defined."""
    defined = ~np.isnan(array)
    counts = defined.sum(0)
    return np.where(counts > 0, np.where(defined, array, 0.0).sum(0) / np.maximum(counts, 1), np.nan)
