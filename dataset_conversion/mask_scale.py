"""Which values of a mask are the object: decided from all of its values and their places, or refused.

Of two values, the higher one is the object. More than two values are either a soft outline, whose in-between values
change from pixel to pixel, or several areas of one value each (classes, numbered objects). Then nobody knows which of
them count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.errors import Refused

USUAL = (1, 255, 65535)
"""Usual values of the object, beside 0."""
FLAT_SHARE = 0.2
"""Share of in-between pixels that equal their right, lower and diagonal neighbours.

Measured: at most 0.01 in JPEG at quality 10 to 95, at most 0.14 in scaled and blurred outlines, and at least 0.3 in
areas of classes and numbered objects.
"""
OUTLINE_WIDTH = 16
"""Widest soft outline, as in-between pixels per pixel of its length. Masks enlarged 8 times have 6."""
_SMALLEST_RANGE = 32
_FEW = 16
# JPEG changes even areas by a few of 255 levels.
_NOISE = 8 / 255


@dataclass(frozen=True, kw_only=True)
class CutMask:
    """A mask as truth values, and how it was read."""

    inside: NDArray[np.bool_]
    note: str = ""


def cut_mask(values: NDArray[Any], *, highest: float | None = None) -> CutMask:
    """Separate object and background.

    Args:
        values: Grey values (height, width), 0 or more, none of them NaN.
        highest: Value of the object in the whole set of masks, since a single mask may be empty.

    Raises:
        Refused: If the values can be read in two ways.

    Examples:
        >>> cut_mask(np.array([[0, 2], [2, 0]])).inside.tolist()
        [[False, True], [True, False]]
    """
    low = float(values.min())
    high = float(values.max()) if highest is None else float(highest)
    if low == float(values.max()):
        return CutMask(inside=np.full(values.shape, _one_value(low, highest)))
    if highest is not None:
        low = 0.0
    is_low, is_high = values == low, values == high
    if np.count_nonzero(is_low) + np.count_nonzero(is_high) == values.size:
        usual = low == 0 and high in USUAL
        note = "" if usual else f"two values, {low:g} and {high:g}: the higher one is the object"
        return CutMask(inside=is_high, note=note)
    inside = values > (low + high) / 2 if values.dtype.kind == "f" else values > (int(low) + int(high)) // 2
    _check_soft(values, inside, low, high)
    return CutMask(inside=inside, note="grey edge pixels, cut at half scale")


def flat_share(values: NDArray[Any], between: NDArray[np.bool_]) -> float:
    """Share of the given pixels that equal their neighbours on three sides: high in areas, low in outlines."""
    flat = between[1:, 1:] & (values[1:, 1:] == values[:-1, 1:])
    flat &= (values[1:, 1:] == values[1:, :-1]) & (values[1:, 1:] == values[:-1, :-1])
    return float(np.count_nonzero(flat)) / max(int(np.count_nonzero(between)), 1)


def _one_value(value: float, highest: float | None) -> bool:
    """Whether a mask of one value is all object, or all background."""
    if value == 0:
        return False
    if value in USUAL or value == highest:
        return True
    raise Refused(f"it has the one value {value:g} everywhere; nothing says whether that is the object")


def _check_soft(values: NDArray[Any], inside: NDArray[np.bool_], low: float, high: float) -> None:
    """Check that more than two values are the soft outline of one object.

    Raises:
        Refused: If not.
    """
    different = np.unique(values)
    shown = (
        "values " + ", ".join(f"{value:g}" for value in different)
        if len(different) <= _FEW
        else f"{len(different)} values from {different[0]:g} to {different[-1]:g}"
    )
    many = "nothing says which of them are the object; make it 0 and 255"
    span = high - low
    # A range from 0 to 1 is possible for fractions only.
    if values.dtype.kind != "f" and span < _SMALLEST_RANGE:
        raise Refused(f"it has {shown}: {many}")
    noise = span * _NOISE if len(different) > _FEW else 0.0
    between = (values > low + noise) & (values < high - noise)
    if flat_share(values, between) > FLAT_SHARE:
        raise Refused(f"it has {shown}, several of them as whole areas (classes or numbered objects): {many}")
    grey = np.count_nonzero((values > low + span / 10) & (values < high - span / 10))
    outline = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    if grey > OUTLINE_WIDTH * max(outline, 1):
        raise Refused(f"it has {shown}, far more in-between pixels than an outline has: {many}")
