"""Means over cases, and their differences to the baseline's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_tricks.comparison.evaluate import mean
from nnunet_tricks.comparison.statistics.effects import MEAN

Values = Mapping[str, Mapping[str, tuple[float, str]]]
"""Number and unit for each class and metric of a case."""


@dataclass(frozen=True)
class Score:
    """One metric of one class.

    Attributes:
        mean: Mean over the cases in which the metric is defined, of all folds and runs; NaN if it is defined in none.
        counted: Number of these cases.
        unit: Unit of the mean.
        difference: Difference to the baseline's mean; None for the baseline itself.
    """

    mean: float
    counted: int
    unit: str
    difference: float | None = None


Scores = Mapping[str, Mapping[str, Score]]
"""Score by class and metric."""


def scores_of(cases: Sequence[Values], names: Sequence[str], baseline: Scores | None = None) -> Scores:
    """Mean scores of a method, and of its classes where there are several.

    Args:
        cases: Numbers of each case, as ``undefined.completed`` gives them: methods of a table have the same gaps.
        names: Names of the metrics.
        baseline: Scores of the baseline; None for the baseline itself.

    Examples:
        >>> scores = scores_of([{"kidney": {"Dice": (0.5, "1")}}, {"kidney": {"Dice": (math.nan, "1")}}], ["Dice"])
        >>> scores["kidney"]["Dice"]
        Score(mean=0.5, counted=1, unit='1', difference=None)
    """
    labels = list(cases[0])
    scores = {label: {name: _score(cases, label, name) for name in names} for label in labels}
    if len(labels) > 1:
        scores[MEAN] = {name: _mean_of([scores[label][name] for label in labels]) for name in names}
    if baseline is None:
        return scores
    return {
        label: {
            name: Score(score.mean, score.counted, score.unit, _less(score.mean, baseline[label][name].mean))
            for name, score in metrics.items()
        }
        for label, metrics in scores.items()
    }


def _less(mean: float, baseline: float) -> float:
    """A difference; 0 where both are infinite, as one is as bad as the other."""
    return 0.0 if mean == baseline else mean - baseline


def _score(cases: Sequence[Values], label: str, name: str) -> Score:
    values = [case[label][name][0] for case in cases]
    counted = sum(not math.isnan(value) for value in values)
    return Score(mean(values), counted, cases[0][label][name][1])


def _mean_of(scores: Sequence[Score]) -> Score:
    """The mean over classes, as nnU-Net's foreground mean: undefined if a class is."""
    means = [score.mean for score in scores]
    total = math.nan if any(map(math.isnan, means)) else sum(means) / len(means)
    return Score(total, min(score.counted for score in scores), scores[0].unit)
