"""Differences without what rounding makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIGITS = 12
"""Of the largest value: what lies beyond is left by sums of doubles, such as means over three runs and over two."""


def rounded(differences: ArrayLike, scale: float) -> NDArray[np.float64]:
    """Differences to ``DIGITS`` digits of the values that they are of, so that equal ones are equal.

    Args:
        differences: Of values.
        scale: The largest size of these values.

    Examples:
        >>> float(rounded((0.8 + 0.8 + 0.8) / 3 - 0.8, 0.8)), float(rounded(0.1 + 0.2 - 0.1, 0.3))
        (0.0, 0.2)
    """
    found = np.asarray(differences, np.float64)
    if not scale > 0 or not np.isfinite(scale):
        return found
    return np.asarray(np.round(found, DIGITS - 1 - int(np.floor(np.log10(scale)))))
