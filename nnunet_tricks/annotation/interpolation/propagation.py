"""Masks that are handed on from slice to slice (Zhang et al., algorithm 1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.integer]

Step = Callable[[int, int, Array], Array]
"""From a slice, the neighbour to fill, and the slice's labels: the neighbour's labels."""


def propagated(labels: Array, annotated: Sequence[int], step: Step, *, empty_claims: bool = False) -> Array:
    """Fill every slice from the nearest annotated one, one step at a time.

    All annotated slices start at once and fill their neighbours, then these theirs, so a slice belongs to the annotated
    slice that is nearest; of two equally near ones to the more inferior. A chain ends where its step finds nothing.

    Args:
        labels: Label map with slices first, 0 for background; only annotated slices are read.
        annotated: Their indices.
        step: Labels of a slice from those of its neighbour.
        empty_claims: Whether chains of slices without any label claim slices too. The published algorithm lets a
            neighbour's chain from the other side run on through these.

    Returns:
        Of the same shape and type; slices that no chain reaches are background.

    Examples:
        >>> marks = np.array([0, 3, 9, 9, 0, 9])[:, None, None]
        >>> propagated(marks, [0, 1, 4], lambda one, other, mask: mask).ravel()
        array([0, 3, 3, 3, 0, 0])
        >>> propagated(marks, [1, 5], lambda one, other, mask: mask // 2).ravel()
        array([1, 3, 1, 2, 4, 9])
    """
    filled = np.zeros_like(labels)
    known = sorted(annotated)
    filled[known] = labels[known]
    claimed = np.zeros(len(labels), bool)
    claimed[known] = True
    queue = deque(known)
    while queue:
        index = queue.popleft()
        for neighbour in (index + 1, index - 1):
            if 0 <= neighbour < len(labels) and not claimed[neighbour]:
                found = step(index, neighbour, filled[index])
                if empty_claims or found.any():
                    filled[neighbour] = found
                    claimed[neighbour] = True
                    queue.append(neighbour)
    return filled
