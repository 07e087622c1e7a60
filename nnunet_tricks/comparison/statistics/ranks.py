"""Places of the methods when cases and trainings are drawn anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.statistics.bootstrap import Drawn
from nnunet_tricks.comparison.statistics.components import contrast, pooled, training
from nnunet_tricks.comparison.statistics.model import LEVEL, Interval, Ranks
from nnunet_tricks.comparison.statistics.values import Array, Values


def ranks_of(
    values: Values, place: int, better: str, weights: Drawn, generator: np.random.Generator
) -> tuple[list[Ranks], float]:
    """Ranks of every method in one class, and how stable their order is.

    The same groups are drawn for all methods. Where there are reruns, each draw also trains anew: Student's
    distribution around each method's mean, with the variance of all methods' reruns together.

    Args:
        values: Of the metric.
        place: Of the class; one beyond the last for the mean of classes.
        better: Which values are better.
        weights: Of the bootstrap.
        generator: For the trainings.

    Returns:
        For each method; mean of Kendall's tau between the order found and those of the draws (NaN for one method).
    """
    found = [contrast(values, {method: 1.0}) for method in range(len(values.methods))]
    means = np.array([one.value[place] for one in found])
    drawn = means + weights @ np.stack([one.influence[:, place] for one in found], axis=1)
    noise = [one for one in (training(values, method) for method in range(len(found))) if one]
    of_trainings = pooled(noise)
    if of_trainings.freedom:
        runs = np.array([len(of_method) for of_method in values.runs])
        # The cases' scatter between runs has been drawn with the cases.
        variance = max(of_trainings.between[place] - of_trainings.rest[place], 0.0)
        drawn = drawn + generator.standard_t(of_trainings.freedom, drawn.shape) * np.sqrt(variance / runs)
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
