"""What a case counts as where a metric has no value for some predictions of a table.

Overlaps and distances have no value where nothing is there and nothing is predicted. Such a case says nothing as long
as all methods get it right. As soon as one of them, in any run, predicts something there, the case tells methods
apart, so it counts for all of them. Predicting nothing then has the metric's best value (``best_of``: 1 where higher is
better, else 0). A false alarm has the value that the metric gives it, such as a Dice of 0 or the image's diagonal.

In metrics with a worst value, how bad a false alarm is, is a fixed number. In distances it is a convention, which
depends on how large the image was cut. There, means, ranks and tests follow the rule, but no verdict is given
(``alarm_of``). The same holds where a value is infinite, as the conformity of a miss. It is worse than any number, so
it counts as a loss and has the last rank, but there is no mean to judge.

None of our metrics is undefined beside a value that no false alarm can have. Where a table has that, the case counts
for no method, and no verdict is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from nnunet_tricks.comparison.metrics import Metric, all_metrics

Numbers = Mapping[str, Mapping[str, tuple[float, str]]]
"""Number and unit for each class and metric of a case."""


def better_of(metric: str) -> str:
    """Which values of a metric are better: ``higher``, ``lower`` or ``zero``; ``higher`` for unknown ones.

    Examples:
        >>> better_of("Dice"), better_of("HD95"), better_of("NSD@3")
        ('higher', 'lower', 'higher')
    """
    known = _known(metric)
    return known.better if known else "higher"


def best_of(metric: str) -> float:
    """The value of predicting nothing where nothing is, if another prediction has a false alarm there.

    Examples:
        >>> best_of("Dice"), best_of("HD95")
        (1.0, 0.0)
    """
    return 1.0 if better_of(metric) == "higher" else 0.0


def span_of(metric: str) -> float:
    """The largest difference that two values of a metric can have; infinite where there is none.

    Examples:
        >>> span_of("Dice"), span_of("NSD@1"), span_of("HD95")
        (1.0, 1.0, inf)
    """
    known = _known(metric)
    return 1.0 if known is not None and known.share else math.inf


def alarm_of(metric: str) -> float | None:
    """The highest value that a false alarm can have where nothing is; None if it is a convention, as in distances.

    Examples:
        >>> alarm_of("Dice"), alarm_of("conformity"), alarm_of("HD95")
        (0.0, 1.0, None)
    """
    known = _known(metric)
    if known is None or known.invented == "formula":
        return best_of(metric)
    return None if isinstance(known.invented, str) else known.invented


def completed(methods: Sequence[Sequence[tuple[str, Numbers]]]) -> list[list[Numbers]]:
    """The numbers of every method's cases, with the best value where one is undefined and another is not.

    Args:
        methods: For each method its predictions, each with the name of its case.

    Examples:
        >>> nothing, alarm = {"tumour": {"Dice": (math.nan, "1")}}, {"tumour": {"Dice": (0.0, "1")}}
        >>> completed([[("a", nothing), ("b", nothing)], [("a", alarm), ("b", nothing)]])[0]
        [{'tumour': {'Dice': (1.0, '1')}}, {'tumour': {'Dice': (nan, '1')}}]
    """
    highest: dict[tuple[str, str, str], float] = {}
    undefined: set[tuple[str, str, str]] = set()
    for cases in methods:
        for case, numbers in cases:
            for label, metrics in numbers.items():
                for metric, (value, _) in metrics.items():
                    key = (case, label, metric)
                    if math.isnan(value):
                        undefined.add(key)
                    else:
                        highest[key] = max(value, highest.get(key, -math.inf))
    counts_as = {key: _best_beside(key[2], highest[key]) for key in undefined & highest.keys()}
    names = {case for case, _, _ in counts_as}
    return [
        [_completed(case, numbers, counts_as) if case in names else numbers for case, numbers in cases]
        for cases in methods
    ]


def _best_beside(metric: str, highest: float) -> float:
    """What an undefined value counts as: NaN, so that no value counts, beside a value that no false alarm has."""
    alarm = alarm_of(metric)
    return math.nan if alarm is not None and highest > alarm else best_of(metric)


def _completed(case: str, numbers: Numbers, counts_as: Mapping[tuple[str, str, str], float]) -> Numbers:
    def completed_value(label: str, metric: str, value: float) -> float:
        best = counts_as.get((case, label, metric), value)
        return best if math.isnan(value) or math.isnan(best) else value

    return {
        label: {metric: (completed_value(label, metric, value), unit) for metric, (value, unit) in metrics.items()}
        for label, metrics in numbers.items()
    }


def _known(metric: str) -> Metric | None:
    return _by_stem().get(metric.partition("@")[0])


def is_published(metric: str) -> bool:
    """Whether a metric is a paper's formula with its flaws, which may give nothing and a false alarm the same value.

    Examples:
        >>> is_published("published_DSC"), is_published("Dice")
        (True, False)
    """
    known = _known(metric)
    return known is not None and known.group == "published"


@cache
def _by_stem() -> dict[str, Metric]:
    return {metric.name.partition("@")[0]: metric for metric in all_metrics()}
