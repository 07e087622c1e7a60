"""Tricks across data sets: signs, and the exact test of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnunet_tricks.comparison.statistics.model import Significance, Signs, Statistics
from nnunet_tricks.comparison.statistics.multiple import holm


def across(found: Sequence[Statistics]) -> tuple[Signs, ...]:
    """Signs of each trick over data sets, with Holm's correction over the tricks.

    Five data sets, all with the same sign, have p = 0.06; six 0.03. So a handful of data sets cannot show much.

    Args:
        found: Of each data set, one part and no subgroups; tricks are known by their trainers.

    Raises:
        ValueError: If a data set stands there twice.
    """
    from scipy.stats import binomtest

    datasets = [one.dataset for one in found]
    twice = sorted({name for name in datasets if datasets.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands twice: one part and configuration of each data set is compared")
    made, p = [], []
    for name in dict.fromkeys(trick.trainer for one in found for trick in one.tricks):
        here = {
            one.dataset: (one.primary(trick), trick) for one in found for trick in one.tricks if trick.trainer == name
        }
        gains = [effect.gain for effect, _ in here.values() if not math.isnan(effect.gain)]
        better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        p.append(float(binomtest(better, better + worse).pvalue) if better + worse else 1.0)
        made.append((name, here, better, worse))
    return tuple(
        Signs(
            name=name,
            differences={dataset: effect.difference for dataset, (effect, _) in here.items()},
            gains=better,
            losses=worse,
            p=Significance(p=one, holm=float(corrected)),
            words={dataset: trick.verdict.word for dataset, (_, trick) in here.items()},
        )
        for (name, here, better, worse), one, corrected in zip(made, p, holm(p), strict=True)
    )
