"""Cases drawn anew: with replacement, by group, within each fold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.statistics.values import Array, Cases

DRAWS = 10_000
BLOCK = 2_000_000
"""So many numbers are drawn or multiplied at a time: with 10,000 cases all draws are 100 million."""

Small = NDArray[np.int8]


def weights(cases: Cases, draws: int, generator: np.random.Generator) -> Small:
    """How often each group was drawn, less one: draws x groups.

    Args:
        cases: Groups and their strata; from each stratum as many groups are drawn as it has.
        draws: How many.
        generator: Where the chance comes from.
    """
    drawn = np.zeros((draws, len(cases.strata)), np.int8)
    for stratum in np.unique(cases.strata):
        members = np.flatnonzero(cases.strata == stratum)
        size = len(members)
        for block in blocks(draws, size):
            count = block.stop - block.start
            chosen = generator.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
            times = np.bincount(chosen.ravel(), minlength=count * size).reshape(count, size)
            drawn[block, members] = times - 1
    return drawn


def moved_by(drawn: Small, influence: Array) -> Array:
    """How far each draw moves a value: draws x classes.

    Args:
        drawn: Of ``weights``.
        influence: What each group adds, groups x classes.
    """
    return np.concatenate([drawn[block].astype(np.float64) @ influence for block in blocks(*drawn.shape)])


def signs(groups: int, draws: int, generator: np.random.Generator) -> tuple[Small, bool]:
    """Signs that a permutation gives to groups: draws x groups, and whether these are all that there are.

    All of them where that is not more than ``draws``.
    """
    if groups < 60 and 2**groups <= draws:
        bits = np.arange(2**groups)[:, None] >> np.arange(groups)
        return np.where(bits & 1, -1, 1).astype(np.int8), True
    drawn = np.empty((draws, groups), np.int8)
    for block in blocks(draws, groups):
        drawn[block] = np.where(generator.random((block.stop - block.start, groups), np.float32) < 0.5, -1, 1)
    return drawn, False


def blocks(draws: int, size: int) -> Iterator[slice]:
    """Draws that are made together, so that memory does not grow with their number."""
    step = max(1, BLOCK // max(size, 1))
    for first in range(0, draws, step):
        yield slice(first, min(first + step, draws))
