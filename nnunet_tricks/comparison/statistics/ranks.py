"""Ranks of the methods when cases and trainings are resampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.rounding import rounded
from nnunet_tricks.comparison.statistics.bootstrap import SmallIntegers, moved_by
from nnunet_tricks.comparison.statistics.components import TrainingVariance, contrast, pooled, training_variance
from nnunet_tricks.comparison.statistics.model import LEVEL, Interval, Ranks
from nnunet_tricks.comparison.statistics.values import Array, Values


def ranks_of(
    values: Values, place: int, better: str, weights: SmallIntegers, generator: np.random.Generator
) -> tuple[list[Ranks], float]:
    """Ranks of every method in one class, and how stable their order is.

    The same groups are drawn for all methods. Where there are reruns, each draw also simulates new trainings: it draws
    from Student's distribution around each method's mean, with the variance of the method's own reruns. A method
    without reruns gets the variance pooled over all methods' reruns.

    A method with infinite values ranks behind methods with fewer of them.

    Args:
        values: Values of the metric.
        place: Index of the class; one beyond the last for the mean of classes.
        better: Direction of the metric: ``higher``, ``lower`` or ``zero``.
        weights: Weights of the bootstrap.
        generator: Source of random numbers for the trainings.

    Returns:
        Ranks of each method, and the mean of Kendall's tau between the observed order and those of the draws (NaN for
        a single method).
    """
    values = _finite(values)
    estimates = [contrast(values, {method: 1.0}) for method in range(len(values.methods))]
    means = np.array([estimate.value[place] for estimate in estimates])
    drawn = means + moved_by(weights, np.stack([estimate.influence[:, place] for estimate in estimates], axis=1))
    variances = [training_variance(values, method) for method in range(len(estimates))]
    overall = pooled([variance for variance in variances if variance])
    for method, own in enumerate(variances):
        drawn[:, method] += _trained_anew(own or overall, place, len(values.runs[method]), len(drawn), generator)
    means = rounded(means, values.scale)
    sign = 1.0 if better == "lower" else -1.0
    if better == "zero":
        means, drawn, sign = np.abs(means), np.abs(drawn), 1.0
    order, places = _places(sign * means[None])[0], _places(sign * drawn)
    tail = (1 - LEVEL) / 2
    ranks = []
    for method in range(len(estimates)):
        of_method = places[:, method]
        low, high = np.quantile(of_method, [tail, 1 - tail], method="inverted_cdf")
        shares = np.bincount(of_method, minlength=len(estimates) + 1)[1:] / len(of_method)
        ranks.append(
            Ranks(
                place=int(order[method]),
                mean=float(of_method.mean()),
                interval=Interval(float(low), float(high)),
                first=float(shares[0]),
                shares=tuple(map(float, shares)),
            )
        )
    return ranks, _tau(order, places)


def _trained_anew(
    spread: TrainingVariance, place: int, runs: int, draws: int, generator: np.random.Generator
) -> Array | float:
    """Change of a method's mean by other trainings, in each draw."""
    if not spread.freedom.any():
        return 0.0
    # The scatter of cases between runs was drawn together with the cases.
    variance = max(spread.between[place] - spread.rest[place], 0.0)
    return np.asarray(generator.standard_t(spread.freedom[place], draws) * np.sqrt(variance / runs))


def _finite(values: Values) -> Values:
    """The values, with infinite ones replaced by a number beyond all others."""
    if not any(np.isinf(array).any() for array in values.arrays):
        return values
    beyond = 1e6 * max(values.scale, 1.0)
    arrays = (np.nan_to_num(array, nan=np.nan, posinf=beyond, neginf=-beyond) for array in values.arrays)
    return replace(values, arrays=tuple(arrays))


def _places(values: Array) -> NDArray[np.intp]:
    """Place of each value, 1 for the smallest. Among equal values the earlier method comes first."""
    order = np.argsort(values, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(1, values.shape[1] + 1)[None], axis=1)
    return places


def _tau(order: NDArray[np.intp], places: NDArray[np.intp]) -> float:
    """Kendall's tau without ties: (pairs in the same order - pairs in reverse order) / all pairs."""
    count = len(order)
    if count < 2:
        return float("nan")
    agreeing = 0.0
    for first in range(count):
        for second in range(first):
            same = np.sign(order[first] - order[second]) * np.sign(places[:, first] - places[:, second])
            agreeing += float(same.mean())
    return agreeing / (count * (count - 1) / 2)
