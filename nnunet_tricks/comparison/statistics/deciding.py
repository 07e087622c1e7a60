"""What would decide: the fewest more folds, or more runs, after which the interval would tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from nnunet_tricks.comparison.statistics.model import ALPHA, LEVEL, Plan

MOST_RUNS = 10
"""More runs than that on top nobody affords."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """What was done, and what it told of the errors.

    Attributes:
        folds: Compared.
        folds_there: In the split file.
        groups: Independent ones, in all folds.
        runs: Of baseline and trick.
        variance_cases: Of the difference.
        training: Variance of one run's mean over all folds that trainings make, of baseline and trick together.
        hours: That one training takes, of baseline and trick; NaN if not known.
        own_cases: Whether each fold brings cases of its own, as in cross-validation.
        together: Whether runs of baseline and trick shared their randomness; then ``runs`` are those that both have and
            ``training`` is of their differences.
        unit: Of the hours.
        own: The same of baseline and of trick by themselves; ``training`` if not told.
        equal_folds: How many folds of equal size say as much of trainings as these; all of them if not told.
        tricks: In the table; Holm's correction asks of the best of them what a single one need not show.
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
        """Degrees of freedom that reruns give, with so many more folds and runs."""
        return sum(self._freedoms(folds, runs))

    def half_width(self, *, folds: int = 0, runs: int = 0, level: float = LEVEL) -> float:
        """Of the interval with so many more folds and runs, if the errors are as they seem."""
        more = (self.folds + folds) / self.folds if self.own_cases else 1.0
        count = self.folds + folds if self.own_cases else 1
        tail = 1 - (1 - level) / 2
        freedom_cases = max(self.groups * more - count, 1)
        freedoms = self._freedoms(folds, runs)
        if not sum(freedoms):
            return float("inf")
        counts = self.runs[:1] if self.together else self.runs
        own = self.own or (self.training, self.training)
        known = sum(freedom for freedom in freedoms if freedom)
        shares = [1 / (one + runs) for one in counts]
        without = sum(share for share, freedom in zip(shares, freedoms, strict=True) if not freedom)
        squared = stdtrit(freedom_cases, tail) ** 2 * self.variance_cases / more
        for share, freedom, variance in zip(shares, freedoms, own, strict=False):
            if freedom:
                squared += stdtrit(freedom, tail) ** 2 * variance / more * (share + without * freedom / known)
        return float(np.sqrt(squared))

    def _freedoms(self, folds: int, runs: int) -> list[float]:
        """Of each method, or of the runs' differences."""
        equal = self.folds if self.equal_folds is None else self.equal_folds
        count = equal * (self.folds + folds) / self.folds if self.own_cases else equal
        return [count * (one + runs - 1) for one in (self.runs[:1] if self.together else self.runs)]

    def plan(self, *, folds: int = 0, runs: int = 0) -> Plan:
        """What so many more folds and runs cost."""
        trainings = tuple((self.folds + folds) * (one + runs) - self.folds * one for one in self.runs)
        hours = sum(count * each for count, each in zip(trainings, self.hours, strict=True))
        return Plan(folds=folds, runs=runs, trainings=sum(trainings), hours=float(hours), unit=self.unit)


def plans(design: Design, difference: float, limit: float) -> tuple[Plan, ...]:
    """The cheapest ways to a decision, if the difference stays what it is.

    Args:
        design: What there is.
        difference: That was found.
        limit: Of the noise floor: an interval within it decides too.
    """
    found = []
    corrected = 1 - ALPHA / design.tricks
    more_folds = range(1, design.folds_there - design.folds + 1) if design.own_cases else range(0)
    for steps in ([{"folds": count} for count in more_folds], [{"runs": count} for count in range(1, MOST_RUNS + 1)]):
        for step in steps:
            shrunk = limit * np.sqrt(design.folds / (design.folds + step.get("folds", 0)))
            claimed = design.half_width(**step, level=corrected) < abs(difference)
            if claimed or abs(difference) + design.half_width(**step) < shrunk:
                found.append(design.plan(**step))
                break
    return tuple(sorted(found, key=lambda plan: plan.trainings))
