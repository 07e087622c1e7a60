"""Translation of a source's labels to those of a task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.errors import Refused


def count_labels(labels: NDArray[np.uint8]) -> dict[int, int]:
    """Count the voxels of each value that occurs, in ascending order.

    Examples:
        >>> count_labels(np.array([0, 2, 2], dtype=np.uint8))
        {0: 1, 2: 2}
    """
    flat = labels.ravel(order="K")
    highest = int(flat.max())
    if highest <= 8:
        # A few passes of plain comparison cost less than one bincount, which widens every voxel to 8 bytes.
        counts = [int(np.count_nonzero(flat == value)) for value in range(highest + 1)]
    else:
        counts = np.bincount(flat).tolist()
    return {value: count for value, count in enumerate(counts) if count}


def map_labels(
    labels: NDArray[np.uint8], mapping: Mapping[int, int], *, counts: Mapping[int, int] | None = None, hint: str = ""
) -> NDArray[np.uint8]:
    """Translate labels; background stays background.

    Args:
        labels: Source labels.
        mapping: Written label of each source label.
        counts: Result of `count_labels`, if it is known.
        hint: Text that is added to the reason if a label is not in the mapping.

    Raises:
        Refused: If a label occurs that the mapping does not have.

    Examples:
        >>> map_labels(np.array([0, 1, 2], dtype=np.uint8), {1: 1, 2: 1}).tolist()
        [0, 1, 1]
    """
    unknown = sorted(set(counts or count_labels(labels)) - {0, *mapping})
    if unknown:
        shown = ", ".join(str(value) for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        allowed = ", ".join(str(value) for value in (0, *sorted(mapping)))
        raise Refused(f"label holds the value(s) {shown}; allowed are {allowed}{'; ' + hint if hint else ''}")
    if all(source == written for source, written in mapping.items()):
        return labels
    table = np.zeros(256, dtype=np.uint8)
    for source, written in mapping.items():
        table[source] = written
    return table[labels]
