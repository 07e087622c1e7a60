"""Label values: what ``dataset.json`` names, and the one for voxels that nobody annotated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = "ignore"
"""nnU-Net's name for voxels without annotation; their value is the highest."""

Labels = Mapping[str, Any]


def values(labels: Labels) -> list[int]:
    """The values of a data set's classes, in ascending order, without that of ``ignore``.

    Args:
        labels: Of ``dataset.json``: names and values, or lists of values for regions.

    Raises:
        ValueError: If they are not 0, 1, 2, ..., which nnU-Net asks for.

    Examples:
        >>> values({"background": 0, "kidney": [1, 2], "tumour": 2, "ignore": 3})
        [0, 1, 2]
    """
    found: set[int] = set()
    for name, value in labels.items():
        if name != IGNORE:
            found.update(int(one) for one in (value if isinstance(value, Sequence) else [value]))
    if sorted(found) != list(range(len(found))):
        raise ValueError(
            f"labels of dataset.json must have the values 0, 1, 2, ... without gaps, got {sorted(found)}: "
            "nnU-Net cannot train with these"
        )
    return sorted(found)


def with_ignore(labels: Labels) -> dict[str, Any]:
    """The same labels and ``ignore``, whose value is one more than the highest.

    Raises:
        ValueError: If there is an ``ignore`` that has another value.

    Examples:
        >>> with_ignore({"background": 0, "liver": 1})
        {'background': 0, 'liver': 1, 'ignore': 2}
    """
    wanted = len(values(labels))
    if labels.get(IGNORE, wanted) != wanted:
        raise ValueError(
            f"label 'ignore' of dataset.json must have the highest value, {wanted}, got {labels[IGNORE]!r}: "
            "nnU-Net refuses it"
        )
    if wanted > 255:
        raise ValueError(f"labels must fit 8 bits with 'ignore', got {wanted} values")
    return {**labels, IGNORE: wanted}


def checked(array: NDArray[np.generic], allowed: Sequence[int], what: str) -> NDArray[np.uint8]:
    """A label map of 8 bits.

    Args:
        array: Any type of number.
        allowed: Values that it may have.
        what: It is, for the message.

    Raises:
        ValueError: If it has other values.
    """
    found = np.unique(array)
    strange = [f"{value:g}" for value in found if value not in allowed]
    if strange:
        raise ValueError(
            f"{what} has the value(s) {', '.join(strange[:5])}; dataset.json names {', '.join(map(str, allowed))}"
        )
    return array.astype(np.uint8)
