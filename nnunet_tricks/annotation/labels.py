"""Label values: those that ``dataset.json`` names, and the one for voxels that nobody annotated."""

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
        labels: Labels of ``dataset.json``: names with values, or with lists of values for regions.

    Raises:
        ValueError: If they are not 0, 1, 2, ..., as nnU-Net requires.

    Examples:
        >>> values({"background": 0, "kidney": [1, 2], "tumour": 2, "ignore": 3})
        [0, 1, 2]
    """
    numbers: set[int] = set()
    for name, value in labels.items():
        if name != IGNORE:
            numbers.update(int(number) for number in (value if isinstance(value, Sequence) else [value]))
    if sorted(numbers) != list(range(len(numbers))):
        raise ValueError(
            f"labels of dataset.json must have the values 0, 1, 2, ... without gaps, got {sorted(numbers)}: "
            "nnU-Net cannot train with these"
        )
    return sorted(numbers)


def with_ignore(labels: Labels) -> dict[str, Any]:
    """Add ``ignore`` to labels, with a value one above the highest.

    Raises:
        ValueError: If there already is an ``ignore`` with another value.

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
    """Convert a label map to 8 bits.

    Args:
        array: Label map with any type of number.
        allowed: Values that it may have.
        what: Its name, for the message.

    Raises:
        ValueError: If it has other values.
    """
    unknown = [f"{value:g}" for value in np.unique(array) if value not in allowed]
    if unknown:
        raise ValueError(
            f"{what} has the value(s) {', '.join(unknown[:5])}; dataset.json names {', '.join(map(str, allowed))}"
        )
    return array.astype(np.uint8)
