"""Places of the methods when cases and trainings are drawn anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.rounding import rounded
from nnunet_tricks.comparison.statistics.bootstrap import Small, moved_by
from nnunet_tricks.comparison.statistics.components import Training, contrast, pooled, training
from nnunet_tricks.comparison.statistics.model import LEVEL, Interval, Ranks
from nnunet_tricks.comparison.statistics.values import Array, Values


def ranks_of(
    values: Values, place: int, better: str, weights: Small, generator: np.random.Generator
) -> tuple[list[Ranks], float]:
    """Ranks of every method in one class, and how stable their order is.

    The same groups are drawn for all methods. Where there are reruns, each draw also trains anew: Student's
    distribution around each method's mean, with the variance of its own reruns; where it has none, with that of all
    methods' reruns together.

    A method with an infinite value in some case is behind those that have fewer of them.

    Args:
        values: Of the metric.
        place: Of the class; one beyond the last for the mean of classes.
        better: Which values are better.
        weights: Of the bootstrap.
        generator: For the trainings.

    Returns:
        For each method; mean of Kendall's tau between the order found and those of the draws (NaN for one method).
    """
    values = _finite(values)
    found = [contrast(values, {method: 1.0}) for method in range(len(values.methods))]
    means = np.array([one.value[place] for one in found])
    drawn = means + moved_by(weights, np.stack([one.influence[:, place] for one in found], axis=1))
    noise = [training(values, method) for method in range(len(found))]
    every = pooled([one for one in noise if one])
    for method, own in enumerate(noise):
        drawn[:, method] += _trained_anew(own or every, place, len(values.runs[method]), len(drawn), generator)
    means = rounded(means, values.scale)
    sign = 1.0 if better == "lower" else -1.0
    if better == "zero":
        means, drawn, sign = np.abs(means), np.abs(drawn), 1.0
    order, places = _places(sign * means[None])[0], _places(sign * drawn)
    tail = (1 - LEVEL) / 2
    made = []
    for method in range(len(found)):
        of_method = places[:, method]
        low, high = np.quantile(of_method, [tail, 1 - tail], method="inverted_cdf")
        shares = np.bincount(of_method, minlength=len(found) + 1)[1:] / len(of_method)
        made.append(
            Ranks(
                place=int(order[method]),
                mean=float(of_method.mean()),
                interval=Interval(float(low), float(high)),
                first=float(shares[0]),
                shares=tuple(map(float, shares)),
            )
        )
    return made, _tau(order, places)


def _trained_anew(found: Training, place: int, runs: int, draws: int, generator: np.random.Generator) -> Array | float:
    """How far other trainings move a method's mean, in each draw."""
    if not found.freedom.any():
        return 0.0
    # The cases' scatter between runs has been drawn with the cases.
    variance = max(found.between[place] - found.rest[place], 0.0)
    return np.asarray(generator.standard_t(found.freedom[place], draws) * np.sqrt(variance / runs))


def _finite(values: Values) -> Values:
    """Values with a number beyond all others in place of infinite ones."""
    if not any(np.isinf(array).any() for array in values.arrays):
        return values
    beyond = 1e6 * max(values.scale, 1.0)
    arrays = (np.nan_to_num(array, nan=np.nan, posinf=beyond, neginf=-beyond) for array in values.arrays)
    return replace(values, arrays=tuple(arrays))


def _places(values: Array) -> NDArray[np.intp]:
    """1 for the smallest; of equal ones the earlier method is first."""
    order = np.argsort(values, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(1, values.shape[1] + 1)[None], axis=1)
    return places


def _tau(order: NDArray[np.intp], places: NDArray[np.intp]) -> float:
    """Kendall's tau without ties: pairs in the same order less pairs in the other, as a share of all."""
    count = len(order)
    if count < 2:
        return float("nan")
    agreeing = 0.0
    for first in range(count):
        for second in range(first):
            same = np.sign(order[first] - order[second]) * np.sign(places[:, first] - places[:, second])
            agreeing += float(same.mean())
    return agreeing / (count * (count - 1) / 2)
