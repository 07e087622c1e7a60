"""Cases drawn anew: with replacement, by group, within each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.statistics.values import Array, Cases

DRAWS = 10_000
PIECE = 1 << 22
"""So many numbers are drawn, or become floats, at once: 10,000 draws of 10,000 cases would be 800 MB as float64."""


@dataclass(frozen=True)
class Drawn:
    """A small whole number for each draw and group, to be multiplied with a matrix: ``drawn @ matrix``.

    Attributes:
        numbers: Draws x groups.
        kind: The numbers' type in products.
    """

    numbers: NDArray[np.int8]
    kind: type[np.float32 | np.float64]

    def __len__(self) -> int:
        """Number of draws."""
        return len(self.numbers)

    def __matmul__(self, matrix: NDArray[np.floating]) -> Array:
        """The product with a matrix of groups x anything; as floats the numbers are never there all at once."""
        made = np.empty((len(self), matrix.shape[1]), np.result_type(self.kind, matrix.dtype))
        rows = _rows(self.numbers.shape[1])
        for start in range(0, len(self), rows):
            piece = slice(start, start + rows)
            floats: NDArray[np.floating] = self.numbers[piece].astype(self.kind)
            made[piece] = floats @ matrix
        return made


def _rows(groups: int) -> int:
    """Draws that make one piece."""
    return max(1, PIECE // max(1, groups))


def weights(cases: Cases, draws: int, generator: np.random.Generator) -> Drawn:
    """How often each group was drawn, less one.

    Args:
        cases: Groups and their strata; from each stratum as many groups are drawn as it has.
        draws: How many.
        generator: Where the chance comes from.
    """
    drawn = np.zeros((draws, len(cases.strata)), np.int8)
    for stratum in np.unique(cases.strata):
        members = np.flatnonzero(cases.strata == stratum)
        size = len(members)
        rows = _rows(size)
        for start in range(0, draws, rows):
            count = min(rows, draws - start)
            chosen = generator.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
            times = np.bincount(chosen.ravel(), minlength=count * size).reshape(count, size)
            # Nobody is drawn more than a hundred times: the number is Poisson's with a mean of 1.
            drawn[start : start + count, members] = times - 1
    return Drawn(drawn, np.float64)


def signs(groups: int, draws: int, generator: np.random.Generator) -> tuple[Drawn, bool]:
    """Signs that a permutation gives to groups, and whether these are all that there are.

    All of them where that is not more than ``draws``.
    """
    if groups < 60 and 2**groups <= draws:
        bits = np.arange(2**groups)[:, None] >> np.arange(groups)
        return Drawn(np.where(bits & 1, -1, 1).astype(np.int8), np.float32), True
    drawn = np.empty((draws, groups), np.int8)
    rows = _rows(groups)
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        drawn[start : start + count] = np.where(generator.random((count, groups), np.float32) < 0.5, -1, 1)
    return Drawn(drawn, np.float32), False
