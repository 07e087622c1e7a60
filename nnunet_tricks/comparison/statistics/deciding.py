"""What would decide an open question: the fewest extra folds or runs after which the interval would give a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from nnunet_tricks.comparison.statistics.model import ALPHA, LEVEL, DecisionPlan

MOST_RUNS = 10
"""Largest number of extra runs that is considered affordable."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """The design of a comparison, and the errors estimated from it.

    Attributes:
        folds: Number of compared folds.
        folds_there: Number of folds in the split file.
        groups: Number of independent groups in all folds.
        runs: Numbers of runs of baseline and trick.
        variance_cases: Variance of the difference from cases.
        training: Variance of one run's mean over all folds from trainings, pooled over baseline and trick.
        hours: Hours of one training, for baseline and trick; NaN if unknown.
        own_cases: Whether each fold has cases of its own, as in cross-validation.
        together: Whether runs of baseline and trick shared their randomness. If so, ``runs`` counts the runs that both
            have, and ``training`` is the variance of their differences.
        unit: Unit of the hours.
        own: Same variance as ``training`` for baseline and trick separately; ``training`` for both if None.
        equal_folds: Number of equal folds that would tell as much about trainings as these; ``folds`` if None.
        tricks: Number of tricks in the table. Holm's correction is stricter with the best of many tricks.
    """

    folds: int
    folds_there: int
    groups: int
    runs: tuple[int, int]
    variance_cases: float
    training: float
    hours: tuple[float, float]
    own_cases: bool = True
    together: bool = False
    unit: str = "GPU hours"
    own: tuple[float, float] | None = None
    equal_folds: float | None = None
    tricks: int = 1

    def freedom_runs(self, *, folds: int = 0, runs: int = 0) -> float:
        """Degrees of freedom from reruns, after this many extra folds and runs."""
        return sum(self._freedoms(folds, runs))

    def half_width(self, *, folds: int = 0, runs: int = 0, level: float = LEVEL) -> float:
        """Half the width of the interval after this many extra folds and runs, if the errors stay as estimated."""
        growth = (self.folds + folds) / self.folds if self.own_cases else 1.0
        count = self.folds + folds if self.own_cases else 1
        tail = 1 - (1 - level) / 2
        freedom_cases = max(self.groups * growth - count, 1)
        freedoms = self._freedoms(folds, runs)
        if not sum(freedoms):
            return float("inf")
        counts = self.runs[:1] if self.together else self.runs
        own = self.own or (self.training, self.training)
        known = sum(freedom for freedom in freedoms if freedom)
        shares = [1 / (present + runs) for present in counts]
        unknown = sum(share for share, freedom in zip(shares, freedoms, strict=True) if not freedom)
        squared = stdtrit(freedom_cases, tail) ** 2 * self.variance_cases / growth
        for share, freedom, variance in zip(shares, freedoms, own, strict=False):
            if freedom:
                squared += stdtrit(freedom, tail) ** 2 * variance / growth * (share + unknown * freedom / known)
        return float(np.sqrt(squared))

    def _freedoms(self, folds: int, runs: int) -> list[float]:
        """Degrees of freedom of each method, or of the differences between paired runs."""
        equal = self.folds if self.equal_folds is None else self.equal_folds
        count = equal * (self.folds + folds) / self.folds if self.own_cases else equal
        return [count * (present + runs - 1) for present in (self.runs[:1] if self.together else self.runs)]

    def plan(self, *, folds: int = 0, runs: int = 0) -> DecisionPlan:
        """The trainings and hours that this many extra folds and runs cost."""
        trainings = tuple((self.folds + folds) * (present + runs) - self.folds * present for present in self.runs)
        hours = sum(count * each for count, each in zip(trainings, self.hours, strict=True))
        return DecisionPlan(folds=folds, runs=runs, trainings=sum(trainings), hours=float(hours), unit=self.unit)


def plans(design: Design, difference: float, limit: float) -> tuple[DecisionPlan, ...]:
    """The cheapest ways to a decision, if the difference stays as estimated.

    Args:
        design: Design of the comparison so far.
        difference: Difference so far.
        limit: Repeatability limit of the noise floor; an interval within it is a decision too.
    """
    deciding = []
    corrected = 1 - ALPHA / design.tricks
    more_folds = range(1, design.folds_there - design.folds + 1) if design.own_cases else range(0)
    for steps in ([{"folds": count} for count in more_folds], [{"runs": count} for count in range(1, MOST_RUNS + 1)]):
        for step in steps:
            shrunk = limit * np.sqrt(design.folds / (design.folds + step.get("folds", 0)))
            claimed = design.half_width(**step, level=corrected) < abs(difference)
            if claimed or abs(difference) + design.half_width(**step) < shrunk:
                deciding.append(design.plan(**step))
                break
    return tuple(sorted(deciding, key=lambda plan: plan.trainings))
