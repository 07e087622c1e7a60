"""Cases resampled with replacement, by group, within each fold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.statistics.values import Array, Cases

DRAWS = 10_000
BLOCK = 2_000_000
"""Numbers drawn or multiplied at a time. All draws of 10,000 cases together would be 100 million numbers."""

SmallIntegers = NDArray[np.int8]


def weights(cases: Cases, draws: int, generator: np.random.Generator) -> SmallIntegers:
    """Number of times that each group was drawn, minus one: draws x groups.

    Args:
        cases: Groups and their strata; each stratum is resampled to its own size.
        draws: Number of draws.
        generator: Source of random numbers.
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


def moved_by(drawn: SmallIntegers, influence: Array) -> Array:
    """Change of a value by each draw: draws x classes.

    Args:
        drawn: Result of ``weights``.
        influence: Contribution of each group, groups x classes.
    """
    return np.concatenate([drawn[block].astype(np.float64) @ influence for block in blocks(*drawn.shape)])


def signs(groups: int, draws: int, generator: np.random.Generator) -> tuple[SmallIntegers, bool]:
    """Signs that a permutation gives to groups, draws x groups, and whether these are all possible ones.

    All possible signs are used where there are no more than ``draws`` of them.
    """
    if groups < 60 and 2**groups <= draws:
        bits = np.arange(2**groups)[:, None] >> np.arange(groups)
        return np.where(bits & 1, -1, 1).astype(np.int8), True
    drawn = np.empty((draws, groups), np.int8)
    for block in blocks(draws, groups):
        drawn[block] = np.where(generator.random((block.stop - block.start, groups), np.float32) < 0.5, -1, 1)
    return drawn, False


def blocks(draws: int, size: int) -> Iterator[slice]:
    """Slices of draws to make together, so that memory does not grow with the number of draws."""
    step = max(1, BLOCK // max(size, 1))
    for first in range(0, draws, step):
        yield slice(first, min(first + step, draws))
