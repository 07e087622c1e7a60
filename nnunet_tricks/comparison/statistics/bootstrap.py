"""Cases drawn anew: with replacement, by group, within each fold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.statistics.values import Array, Cases

DRAWS = 10_000


def weights(cases: Cases, draws: int, generator: np.random.Generator) -> Array:
    """How often each group was drawn, less one: draws x groups.

    Args:
        cases: Groups and their strata; from each stratum as many groups are drawn as it has.
        draws: How many.
        generator: Where the chance comes from.
    """
    drawn = np.zeros((draws, len(cases.strata)))
    for stratum in np.unique(cases.strata):
        members = np.flatnonzero(cases.strata == stratum)
        size = len(members)
        chosen = generator.integers(0, size, size=(draws, size)) + size * np.arange(draws)[:, None]
        drawn[:, members] = np.bincount(chosen.ravel(), minlength=draws * size).reshape(draws, size)
    return drawn - 1.0


def signs(groups: int, draws: int, generator: np.random.Generator) -> tuple[NDArray[np.float32], bool]:
    """Signs that a permutation gives to groups: draws x groups, and whether these are all that there are.

    All of them where that is not more than ``draws``.
    """
    if groups < 60 and 2**groups <= draws:
        bits = np.arange(2**groups)[:, None] >> np.arange(groups)
        return np.where(bits & 1, -1, 1).astype(np.float32), True
    return np.where(generator.random((draws, groups), np.float32) < 0.5, np.float32(-1), np.float32(1)), False
