"""When does a trick help? The gain of each case, explained by what the case is like, out of fold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.evaluate import mean
from nnunet_tricks.comparison.traits import TRAITS

LOGARITHMIC = ("size", "count", "spacing")
LEAST = 20
"""Number of cases below which no pattern is looked for."""

PARTS = 10
RIDGE = 1.0
"""Penalty on the weights of standardised traits: as much as one case with a gain of 0 at a distance of 1 says."""

LEVEL = 0.05
AT_ONCE = 500_000
"""Number of gains that are drawn at a time, cases by draws: 4 MB."""


@dataclass(frozen=True)
class PatternFit:
    """How much of the gain the traits explain.

    Attributes:
        explained: Share of the gain's variance that is predicted in cases outside the fit; at most 1, and negative
            where the prediction is worse than the mean.
        p: Chance to explain as much if the traits had nothing to do with the gain.
        weights: Change of the gain per standard deviation of each trait, all traits fitted together.
    """

    explained: float
    p: float
    weights: NDArray[np.float64]


def fit(
    traits: NDArray[np.float64],
    gains: NDArray[np.float64],
    strata: Sequence[str] | None = None,
    *,
    seed: int = 0,
    draws: int = 1999,
) -> PatternFit:
    """Predict gains from traits by ridge regression, each case by a fit to others, and test what that explains.

    Both are centred within strata first: all cases of a fold come from the same two trainings, and what these have in
    common is no property of a case. Chance is measured in two ways, and the larger p counts: gains are permuted within
    strata, and their signs are drawn anew. Permutation ignores that some cases scatter more, such as small ones; drawn
    signs ignore that gains may be lopsided.

    Args:
        traits: Finite numbers, one row for each case, one column for each trait.
        gains: Gain of each case.
        strata: Fold of each case; None if all cases are in one.
        seed: Seed of the parts and permutations.
        draws: Number of permutations, and of drawn signs.

    Raises:
        ValueError: If the lengths differ, a number is not finite or there are fewer than ``LEAST`` cases.

    Examples:
        >>> size = np.linspace(-1, 1, 40)
        >>> result = fit(size[:, None], 0.01 - 0.02 * size)
        >>> result.explained > 0.95, result.p
        (True, 0.0005)
    """
    if traits.ndim != 2 or len(traits) != len(gains) or (strata is not None and len(strata) != len(gains)):
        raise ValueError(f"traits have shape {traits.shape}, for {len(gains)} gains: one row for each gain is needed")
    if len(gains) < LEAST:
        raise ValueError(f"there are {len(gains)} cases, and at least {LEAST} are needed")
    if not (np.isfinite(traits).all() and np.isfinite(gains).all()):
        raise ValueError("traits and gains must be finite")
    generator = np.random.default_rng(seed)
    members = _members(strata, len(gains))
    centred, targets = _centred(traits, members), _centred(gains[:, None], members)[:, 0]
    spread = centred.std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(traits).max(axis=0), spread, 0.0)
    centred = centred[:, spread > 0] / spread[spread > 0]
    weights = np.zeros(traits.shape[1])
    # What differs by rounding only, is the same.
    if not centred.size or np.ptp(targets) <= 1e-12 * np.abs(gains).max():
        return PatternFit(0.0, 1.0, weights)
    weights[spread > 0] = _ridge(centred) @ targets
    parts = _parts(centred, generator.permutation(len(gains)))
    explained = float(_explained(targets[:, None], parts)[0])
    as_much, left = np.zeros(2, np.int_), draws
    while left:
        count = min(left, max(1, AT_ONCE // len(gains)))
        left -= count
        shuffled = np.repeat(targets[:, None], count, axis=1)
        for member in members:
            shuffled[member] = generator.permuted(shuffled[member], axis=0)
        flipped = targets[:, None] * (2.0 * generator.integers(0, 2, (len(gains), count), np.int8) - 1)
        for place, resampled in enumerate((shuffled, _centred(flipped, members))):
            # What differs by rounding only, is as much.
            as_much[place] += np.count_nonzero(_explained(resampled, parts) >= explained - 1e-12)
    return PatternFit(explained, float(as_much.max() + 1) / (draws + 1), weights)


def _ridge(traits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix that makes weights of gains; both centred."""
    gram = traits.T @ traits + RIDGE * np.eye(traits.shape[1])
    return np.asarray(np.linalg.solve(gram, traits.T))


@dataclass(frozen=True)
class _HeldOutPart:
    """Cases that are predicted by a fit to the others.

    Attributes:
        cases: Places of the cases.
        others: Places of the other cases.
        traits: Traits of the cases, less the others' mean.
        weights: Matrix that makes weights of the others' gains.
    """

    cases: NDArray[np.int_]
    others: NDArray[np.int_]
    traits: NDArray[np.float64]
    weights: NDArray[np.float64]

    def predicted(self, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predicted gains of these cases, from gains of all, cases x draws."""
        known = gains[self.others]
        return np.asarray(known.mean(axis=0) + self.traits @ (self.weights @ known))


def _parts(traits: NDArray[np.float64], order: NDArray[np.int_]) -> list[_HeldOutPart]:
    parts = []
    for part in np.array_split(order, min(PARTS, len(order))):
        others = np.setdiff1d(order, part)
        centre = traits[others].mean(axis=0)
        parts.append(_HeldOutPart(part, others, traits[part] - centre, _ridge(traits[others] - centre)))
    return parts


def _explained(gains: NDArray[np.float64], parts: Sequence[_HeldOutPart]) -> NDArray[np.float64]:
    """Share of the variance of gains, cases x draws, that is predicted of each part by a fit to the others."""
    errors, variance = np.zeros(gains.shape[1]), np.zeros(gains.shape[1])
    for part in parts:
        errors += ((gains[part.cases] - part.predicted(gains)) ** 2).sum(axis=0)
        variance += ((gains[part.cases] - gains[part.others].mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 0, 1 - errors / variance, -np.inf)


def _members(strata: Sequence[str] | None, count: int) -> list[NDArray[np.int_]]:
    if strata is None:
        return [np.arange(count)]
    names = np.asarray(strata)
    return [np.flatnonzero(names == name) for name in np.unique(names)]


def _centred(values: NDArray[np.float64], members: Sequence[NDArray[np.int_]]) -> NDArray[np.float64]:
    centred = values.astype(np.float64)
    for member in members:
        centred[member] -= centred[member].mean(axis=0)
    return centred


@dataclass(frozen=True)
class PatternQuestion:
    """Whether the gain of one trick on one class depends on what a case is like.

    Attributes:
        trick: Name of the trick.
        label: Name of the class.
        cases: Cases in which the gain is defined and traits were measured.
        gains: Gain of each case, in the metric's unit; positive is better.
        traits: Measured values of each case, by name of the trait; traits that do not vary are left out.
        folds: Fold of each case.
        units: Word for what counts as a case: cases, or groups of them.
        infinite: Number of cases with an infinite gain. If there are any, no pattern is looked for, as leaving them out
            would be wrong.
    """

    trick: str
    label: str
    cases: tuple[str, ...]
    gains: tuple[float, ...]
    traits: Mapping[str, tuple[float, ...]]
    folds: tuple[str, ...]
    units: str = "cases"
    infinite: int = 0


@dataclass(frozen=True)
class PatternAnswer:
    """The answer to a question for a pattern.

    Attributes:
        question: Question that is answered.
        fit: Result of the fit; None where there was too little to look at.
        p: P value after Holm's correction over all questions of the report; None without a fit.
        trait: Name of the trait that goes with the gain most.
        correlation: Spearman's correlation between that trait and the gain, both less their means in the fold.
    """

    question: PatternQuestion
    fit: PatternFit | None = None
    p: float | None = None
    trait: str = ""
    correlation: float = 0.0

    @property
    def has_pattern(self) -> bool:
        """Whether there is a pattern."""
        return self.fit is not None and self.p is not None and self.p <= LEVEL and self.fit.explained > 0

    @property
    def sentence(self) -> str:
        """The answer in words."""
        count, units = len(self.question.cases), self.question.units
        subject = f"{self.question.trick}, {self.question.label}"
        if self.question.infinite:
            return f"{subject}: not looked for (the gain is infinite in {self.question.infinite} cases)."
        if self.fit is None:
            reason = f"{count} {units}, and at least {LEAST} are needed" if count < LEAST else "no trait varies"
            return f"{subject}: not looked for ({reason})."
        if not self.has_pattern:
            return f"{subject}: no pattern found in {count} {units} (p = {self.p:.2g})."
        comparative = "larger" if self.correlation > 0 else "smaller"
        return (
            f"{subject}: the gain is higher where {self.trait} is {comparative} (Spearman {self.correlation:+.2f}); "
            f"out of fold the traits explain {100 * self.fit.explained:.0f} % of its variance "
            f"(p = {self.p:.2g}, {count} {units})."
        )


def question_of(
    trick: str,
    label: str,
    gains: Mapping[str, float],
    traits: Mapping[str, Mapping[str, float]],
    folds: Mapping[str, str],
    groups: Mapping[str, str] | None = None,
) -> PatternQuestion:
    """Bring together what is known of each case.

    Args:
        trick: Name of the trick.
        label: Name of the class.
        gains: Gain of each case; undefined ones do not count.
        traits: Measured values by case and name of the trait.
        folds: Fold of each case.
        groups: Group of each case, such as its patient. Cases of one group are not independent, so the means of
            their gains and traits count. None if each case stands for itself.

    Examples:
        >>> gains, folds = {"a": 0.1, "b": 0.3, "c": 0.5}, {"a": "0", "b": "0", "c": "1"}
        >>> traits = {case: {"size": 100.0 * place} for place, case in enumerate(gains, 1)}
        >>> question_of("CE", "liver", gains, traits, folds, {"a": "P1", "b": "P1", "c": "P2"}).traits
        {'size': (150.0, 300.0)}
    """
    infinite = sum(math.isinf(gain) for gain in gains.values())
    if infinite:
        return PatternQuestion(trick, label, (), (), {}, (), infinite=infinite)
    if groups is not None:
        return _of_groups(trick, label, gains, traits, folds, groups)
    known = [case for case in sorted(gains) if np.isfinite(gains[case]) and case in traits]
    columns = {}
    for name in TRAITS:
        values = tuple(float(traits[case].get(name, np.nan)) for case in known)
        defined = [value for value in values if np.isfinite(value)]
        # A trait that is mostly unknown, or the same everywhere, says nothing.
        if len(defined) > len(known) / 2 and len(set(defined)) > 1:
            columns[name] = values
    chosen = tuple(folds[case] for case in known)
    return PatternQuestion(trick, label, tuple(known), tuple(gains[case] for case in known), columns, chosen)


def _of_groups(
    trick: str,
    label: str,
    gains: Mapping[str, float],
    traits: Mapping[str, Mapping[str, float]],
    folds: Mapping[str, str],
    groups: Mapping[str, str],
) -> PatternQuestion:
    members: dict[str, list[str]] = {}
    for case in sorted(gains):
        if np.isfinite(gains[case]) and case in traits:
            members.setdefault(groups[case], []).append(case)
    means = {
        group: {name: mean(traits[case].get(name, math.nan) for case in cases) for name in TRAITS}
        for group, cases in members.items()
    }
    of_groups = {group: mean(gains[case] for case in cases) for group, cases in members.items()}
    first = {group: folds[cases[0]] for group, cases in members.items()}
    return replace(question_of(trick, label, of_groups, means, first), units="groups")


def scale(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    """A trait as it is fitted: those that span decades as logarithms, gaps filled with the mean."""
    column = np.asarray(values, np.float64)
    if name in LOGARITHMIC:
        column = np.log10(np.maximum(column, np.min(column[column > 0], initial=1.0)))
    return np.where(np.isfinite(column), column, np.mean(column[np.isfinite(column)]))


def answers(questions: Sequence[PatternQuestion], *, seed: int = 0, draws: int = 1999) -> list[PatternAnswer]:
    """Look for a pattern behind each question; the chance of any false one among all is at most 5 %."""
    from nnunet_tricks.comparison.statistics.multiple import holm

    fits = [_fit(question, seed=seed, draws=draws) for question in questions]
    corrected = iter(holm([result.p for result in fits if result]))
    results = []
    for question, result in zip(questions, fits, strict=True):
        if result is None:
            results.append(PatternAnswer(question))
        else:
            trait, correlation = _strongest(question)
            results.append(PatternAnswer(question, result, float(next(corrected)), trait, correlation))
    return results


def _fit(question: PatternQuestion, *, seed: int, draws: int) -> PatternFit | None:
    if len(question.cases) < LEAST or not question.traits:
        return None
    columns = np.stack([scale(name, values) for name, values in question.traits.items()], axis=1)
    return fit(columns, np.asarray(question.gains), question.folds, seed=seed, draws=draws)


def _strongest(question: PatternQuestion) -> tuple[str, float]:
    from scipy.stats import spearmanr

    gains = within_folds(question.gains, question.folds)
    if not np.ptp(gains) > 0:
        return next(iter(question.traits)), 0.0
    columns = {name: within_folds(scale(name, values), question.folds) for name, values in question.traits.items()}
    correlations = {name: float(spearmanr(column, gains)[0]) for name, column in columns.items() if np.ptp(column) > 0}
    strongest = max(correlations, key=lambda name: abs(correlations[name]), default=next(iter(question.traits)))
    return strongest, correlations.get(strongest, 0.0)


def within_folds(values: Sequence[float] | NDArray[np.float64], folds: Sequence[str]) -> NDArray[np.float64]:
    """Values less their mean in the fold.

    Examples:
        >>> within_folds([1.0, 3.0, 10.0], ["0", "0", "1"]).tolist()
        [-1.0, 1.0, 0.0]
    """
    column = np.asarray(values, np.float64)
    return _centred(column[:, None], _members(folds, len(column)))[:, 0]
