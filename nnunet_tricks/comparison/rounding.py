"""Differences without what rounding makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIGITS = 12
"""Digits of the largest value that count: sums of doubles leave the rest, such as means over three runs or two."""


def rounded(differences: ArrayLike, scale: float) -> NDArray[np.float64]:
    """Differences rounded to ``DIGITS`` digits of the compared values, so that equal ones are equal.

    Args:
        differences: Differences of values.
        scale: Largest size of these values.

    Examples:
        >>> float(rounded((0.8 + 0.8 + 0.8) / 3 - 0.8, 0.8)), float(rounded(0.1 + 0.2 - 0.1, 0.3))
        (0.0, 0.2)
    """
    exact = np.asarray(differences, np.float64)
    if not scale > 0 or not np.isfinite(scale):
        return exact
    return np.asarray(np.round(exact, DIGITS - 1 - int(np.floor(np.log10(scale)))))
