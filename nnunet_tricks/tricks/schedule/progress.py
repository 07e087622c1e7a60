"""How long a training has not got better, told by the values that nnU-Net logs after each epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

KEPT, NEW = 0.9, 0.1
"""Shares of the last smoothed value and of the new value in the next smoothed one, as nnU-Net has them for its
pseudo-Dice."""


@dataclass(frozen=True)
class Standstill:
    """A time in which no smoothed value was better than an earlier one.

    Attributes:
        best: Epoch of the best value, from 0.
        value: The best smoothed value.
        epochs: Number of epochs after which patience had run out.
    """

    best: int
    value: float
    epochs: int


def standstill(values: Sequence[float], *, patience: int, gain: float = 0) -> Standstill | None:
    """The first time at which patience ran out.

    Values are smoothed as nnU-Net smooths its pseudo-Dice. A value that is not a number, such as the Dice of patches
    without any class, brings nothing better and does not enter the mean.

    Args:
        values: One value for each epoch, higher is better.
        patience: Number of epochs after the best one that may bring nothing better.
        gain: Difference by which a value must be above the best one to count as better.

    Returns:
        The standstill, or None if patience has not run out.

    Examples:
        >>> standstill([0.5, 0.6, 0.2, 0.2, 0.9], patience=2)
        Standstill(best=1, value=0.51, epochs=4)
        >>> standstill([0.5, 0.6, 0.2], patience=2)
    """
    return _standstill(tuple(values), patience, gain)


@lru_cache(maxsize=4)  # an epoch asks several times for the same values
def _standstill(values: tuple[float, ...], patience: int, gain: float) -> Standstill | None:
    mean, best, at = math.nan, -math.inf, -1
    for epoch, value in enumerate(values):
        if value == value:  # a number
            mean = value if mean != mean else mean * KEPT + NEW * value
            if mean > best + gain:
                best, at = mean, epoch
        if epoch - max(at, 0) >= patience:
            return Standstill(max(at, 0), best, epoch + 1)
    return None
