"""Masks that are passed on from slice to slice (Zhang et al., algorithm 1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.integer]

Step = Callable[[int, int, Array], Array]
"""Function from a slice, its neighbour and the slice's labels to the neighbour's labels."""


def propagated(labels: Array, annotated: Sequence[int], step: Step, *, empty_claims: bool = False) -> Array:
    """Fill every slice from the nearest annotated one, one step at a time.

    All annotated slices start at once and fill their neighbours, which then fill theirs. So a slice belongs to the
    nearest annotated slice, or to the more inferior of two equally near ones. A chain ends if its step finds nothing.

    Args:
        labels: Label map with slices first, 0 for background; only annotated slices are read.
        annotated: Indices of annotated slices.
        step: Function from the labels of a slice to those of its neighbour.
        empty_claims: Whether chains of slices without any label claim slices, too. In the published algorithm they do
            not, and a chain from the other side continues through these slices.

    Returns:
        A label map of the same shape and type; slices that no chain reaches are background.

    Examples:
        >>> marks = np.array([0, 3, 9, 9, 0, 9])[:, None, None]
        >>> propagated(marks, [0, 1, 4], lambda start, neighbour, mask: mask).ravel()
        array([0, 3, 3, 3, 0, 0])
        >>> propagated(marks, [1, 5], lambda start, neighbour, mask: mask // 2).ravel()
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
                neighbour_labels = step(index, neighbour, filled[index])
                if empty_claims or neighbour_labels.any():
                    filled[neighbour] = neighbour_labels
                    claimed[neighbour] = True
                    queue.append(neighbour)
    return filled
