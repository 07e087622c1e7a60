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
        training: Variance of one run's mean over all folds that trainings make.
        hours: That one training takes, of baseline and trick; NaN if not known.
        own_cases: Whether each fold brings cases of its own, as in cross-validation.
        together: Whether runs of baseline and trick shared their randomness; then ``runs`` are those that both have and
            ``training`` is of their differences.
        unit: Of the hours.
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
    tricks: int = 1

    def freedom_runs(self, *, folds: int = 0, runs: int = 0) -> int:
        """Degrees of freedom that reruns give, with so many more folds and runs."""
        count = self.folds + folds if self.own_cases else 1
        return count * (self.runs[0] + runs - 1 if self.together else sum(self.runs) + 2 * runs - 2)

    def half_width(self, *, folds: int = 0, runs: int = 0, level: float = LEVEL) -> float:
        """Of the interval with so many more folds and runs, if the errors are as they seem."""
        more = (self.folds + folds) / self.folds if self.own_cases else 1.0
        count = self.folds + folds if self.own_cases else 1
        tail = 1 - (1 - level) / 2
        freedom_cases = max(self.groups * more - count, 1)
        freedom_runs = self.freedom_runs(folds=folds, runs=runs)
        if freedom_runs < 1:
            return float("inf")
        counts = self.runs[:1] if self.together else self.runs
        trainings = self.training / more * sum(1 / (one + runs) for one in counts)
        squared = stdtrit(freedom_cases, tail) ** 2 * self.variance_cases / more
        return float(np.sqrt(squared + stdtrit(freedom_runs, tail) ** 2 * trainings))

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
