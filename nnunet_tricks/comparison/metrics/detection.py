"""Predicted lesions beside true ones: which belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from nnunet_tricks.comparison.metrics.nearest import Mask

LEAST_IOU = 0.1
RULE = (
    "lesions are connected components, voxels touching at a face, an edge or a corner; a predicted and a true lesion "
    f"can be matched if their IoU is at least {LEAST_IOU}, each once, and the assignment with the most matches counts"
)

CHUNK = 1 << 20
"""Voxels that are counted at once: a copy of a whole volume as int64 would be its largest part of the memory."""

Labels = NDArray[np.integer]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Detection:
    """Counted lesions.

    Attributes:
        found: Matched pairs.
        missed: True lesions without a match.
        invented: Predicted ones without a match.
    """

    found: int
    missed: int
    invented: int


def detect(prediction: Mask, truth: Mask) -> Detection:
    """Match predicted with true lesions.

    Examples:
        >>> detect(np.array([1, 1, 0, 0, 1]) > 0, np.array([1, 0, 0, 0, 0]) > 0)
        Detection(found=1, missed=0, invented=1)
    """
    (predicted, predictions), (there, truths) = _components(prediction), _components(truth)
    row, column, common = _overlaps(predicted, there, truths)
    of_row, of_column = (
        np.bincount(which, common, number + 1) for which, number in ((row, predictions), (column, truths))
    )
    fits = (row > 0) & (column > 0) & (common / (of_row[row] + of_column[column] - common) >= LEAST_IOU)
    ends = np.ones(np.count_nonzero(fits), np.int8), (row[fits], column[fits])
    allowed = sparse.csr_matrix(ends, shape=(predictions + 1, truths + 1))
    found = int(np.count_nonzero(maximum_bipartite_matching(allowed) >= 0))
    return Detection(found, truths - found, predictions - found)


def _components(mask: Mask) -> tuple[Labels, int]:
    """The connected components, numbered from 1, and how many there are."""
    neighbours = np.ones((3,) * mask.ndim)
    try:
        labels = np.empty(mask.shape, np.uint16)
        return labels, int(ndimage.label(mask, neighbours, output=labels))
    except RuntimeError:
        # More than 16 bits can count.
        labels, count = ndimage.label(mask, neighbours)
        return labels, int(count)


def _overlaps(predicted: Labels, there: Labels, truths: int) -> tuple[Counts, Counts, Counts]:
    """Which numbers meet in how many voxels, background 0 included.

    Neighbours in memory mostly have the same two numbers, so stretches are sorted, not voxels.

    Returns:
        The predicted number, the true number, and the voxels, one for each pair that there is.
    """
    codes, voxels = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, predicted.size, CHUNK):
        first, second = (labels.reshape(-1)[start : start + CHUNK] for labels in (predicted, there))
        changes = np.flatnonzero((first[1:] != first[:-1]) | (second[1:] != second[:-1])) + 1
        begins = np.concatenate([[0], changes])
        code, length = _summed(
            first[begins].astype(np.int64) * (truths + 1) + second[begins], np.diff(begins, append=len(first))
        )
        codes.append(code)
        voxels.append(length)
    code, count = _summed(np.concatenate(codes), np.concatenate(voxels))
    return *np.divmod(code, truths + 1), count


def _summed(codes: Counts, voxels: Counts) -> tuple[Counts, Counts]:
    """Every code once, in order, with the sum of its voxels."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return codes[first], np.add.reduceat(voxels[order], first) if len(first) else voxels
