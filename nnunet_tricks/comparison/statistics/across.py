"""Tricks across data sets: signs of their differences, and the exact sign test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnunet_tricks.comparison.statistics.model import Significance, Signs, Statistics
from nnunet_tricks.comparison.statistics.multiple import holm


def across(results: Sequence[Statistics]) -> tuple[Signs, ...]:
    """Signs of each trick over data sets, with Holm's correction over the tricks.

    Five data sets with the same sign give p = 0.06, six give 0.03. So a few data sets cannot show much.

    Args:
        results: Statistics of each data set, for one part and without subgroups. Tricks are matched by trainer.

    Raises:
        ValueError: If a data set occurs twice.
    """
    from scipy.stats import binomtest

    datasets = [result.dataset for result in results]
    twice = sorted({name for name in datasets if datasets.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands twice: one part and configuration of each data set is compared")
    counted, p_values = [], []
    for name in dict.fromkeys(trick.trainer for result in results for trick in result.tricks):
        by_dataset = {
            result.dataset: (result.primary(trick), trick)
            for result in results
            for trick in result.tricks
            if trick.trainer == name
        }
        gains = [effect.gain for effect, _ in by_dataset.values() if not math.isnan(effect.gain)]
        better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        p_values.append(float(binomtest(better, better + worse).pvalue) if better + worse else 1.0)
        counted.append((name, by_dataset, better, worse))
    return tuple(
        Signs(
            name=name,
            differences={dataset: effect.difference for dataset, (effect, _) in by_dataset.items()},
            gains=better,
            losses=worse,
            p=Significance(p=p, holm=float(corrected)),
            words={dataset: trick.verdict.word for dataset, (_, trick) in by_dataset.items()},
        )
        for (name, by_dataset, better, worse), p, corrected in zip(counted, p_values, holm(p_values), strict=True)
    )
