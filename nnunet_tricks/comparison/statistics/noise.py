"""The noise floor: how much repeated trainings of the same baseline differ."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri, stdtrit

from nnunet_tricks.comparison.statistics.components import training_variance
from nnunet_tricks.comparison.statistics.effects import MEAN
from nnunet_tricks.comparison.statistics.model import LEVEL, Interval, NoiseFloor
from nnunet_tricks.comparison.statistics.values import Values, nanmean

NO_RERUN = (
    "The baseline was trained once, so nothing is known about noise: two trainings of the same thing differ too, often "
    "by more than a trick gains. Train it again (nnUNetTrainer_run2) before you believe a difference."
)


def noise_floor(values: Values, place: int) -> dict[str, NoiseFloor]:
    """The noise floor of one method for each class.

    It includes the scatter of single cases between runs, since a second training really differs by that too.

    Args:
        values: Values of one metric.
        place: Index of the baseline among the methods.
    """
    variance = training_variance(values, place)
    labels = [*values.labels, *([MEAN] if len(values.labels) > 1 else [])]
    means = np.stack([nanmean(run, axis=1) for run in values.arrays[place]])
    if len(labels) > len(values.labels):
        means = np.concatenate([means, means.mean(1, keepdims=True)], axis=1)
    floors = {}
    for at, label in enumerate(labels):
        deviation = float(np.sqrt(variance.between[at])) if variance else float("nan")
        # Where a value is infinite, runs have no deviation.
        freedom = float(variance.freedom[at]) if variance and np.isfinite(deviation) else 0.0
        floors[label] = NoiseFloor(
            label=label,
            metric=values.metric,
            unit=values.unit,
            runs=len(values.runs[place]),
            freedom=freedom,
            deviation=deviation,
            interval=deviation_interval(deviation, freedom),
            limit=difference_limit(deviation, freedom),
            means=tuple(map(float, means[:, at])),
        )
    return floors


def in_words(floor: NoiseFloor, name: str) -> str:
    """The noise floor as a sentence.

    Args:
        floor: Noise floor of one metric and class.
        name: Name of the baseline.
    """
    if not floor.is_known:
        return NO_RERUN if floor.runs < 2 else f"{floor.metric} is infinite in some cases, so there is no noise floor."
    unit = "" if floor.unit == "1" else f" {floor.unit}"
    return (
        f"{floor.runs} runs of {name} differ by {floor.spread:.3g}{unit} in {floor.metric} of {floor.label}. A run's "
        f"standard deviation is {floor.deviation:.2g}{unit} (95 % interval {floor.interval.low:.2g} to "
        f"{floor.interval.high:.2g}): 19 of 20 pairs of runs differ by less than {floor.limit:.2g}{unit}; if that "
        f"deviation were known and not an estimate, by less than {floor.repeatability:.2g}{unit}, the repeatability "
        "limit."
    )


def difference_limit(deviation: float, freedom: float) -> float:
    """Limit below which 19 of 20 pairs of further runs differ.

    It uses Student's quantile, because the deviation is an estimate.

    Examples:
        >>> round(difference_limit(1.0, 1e6), 2), round(difference_limit(1.0, 2), 2)
        (2.77, 6.08)
    """
    return float(stdtrit(freedom, 1 - (1 - LEVEL) / 2) * np.sqrt(2) * deviation) if freedom else float("nan")


def deviation_interval(deviation: float, freedom: float) -> Interval:
    """95 % interval of a standard deviation, from the chi-squared distribution.

    Examples:
        >>> interval = deviation_interval(1.0, 10)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.699, 1.755)
    """
    if not freedom:
        return Interval(float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    low, high = (deviation * np.sqrt(freedom / chdtri(freedom, end)) for end in (tail, 1 - tail))
    return Interval(float(low), float(high))
