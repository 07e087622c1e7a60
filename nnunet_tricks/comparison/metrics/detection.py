"""Matching of predicted with true lesions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from nnunet_tricks.comparison.metrics.nearest import Mask

LEAST_IOU = 0.1
RULE = (
    "Lesions are connected components of voxels that touch at a face, an edge or a corner. A predicted and a true "
    f"lesion can be matched if their IoU is at least {LEAST_IOU}. Each is matched at most once, and the assignment "
    "with the most matches counts"
)

CHUNK = 1 << 20
"""Voxels that are counted at once. A copy of a whole volume as int64 would need more memory than everything else."""

Labels = NDArray[np.integer]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Detection:
    """Numbers of matched and unmatched lesions.

    Attributes:
        found: Number of matched pairs.
        missed: Number of true lesions without a match.
        invented: Number of predicted lesions without a match.
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
    (predicted, predictions), (true, truths) = _components(prediction), _components(truth)
    row, column, common = _overlaps(predicted, true, truths)
    of_row, of_column = (
        np.bincount(which, common, number + 1) for which, number in ((row, predictions), (column, truths))
    )
    fits = (row > 0) & (column > 0) & (common / (of_row[row] + of_column[column] - common) >= LEAST_IOU)
    ends = np.ones(np.count_nonzero(fits), np.int8), (row[fits], column[fits])
    allowed = sparse.csr_matrix(ends, shape=(predictions + 1, truths + 1))
    found = int(np.count_nonzero(maximum_bipartite_matching(allowed) >= 0))
    return Detection(found, truths - found, predictions - found)


def _components(mask: Mask) -> tuple[Labels, int]:
    """Connected components, numbered from 1, and their number."""
    neighbours = np.ones((3,) * mask.ndim)
    try:
        labels = np.empty(mask.shape, np.uint16)
        return labels, int(ndimage.label(mask, neighbours, output=labels))
    except RuntimeError:
        # There are more components than 16 bits can count.
        labels, count = ndimage.label(mask, neighbours)
        return labels, int(count)


def _overlaps(predicted: Labels, true: Labels, truths: int) -> tuple[Counts, Counts, Counts]:
    """Count the voxels of each pair of a predicted and a true component, background 0 included.

    Neighbours in memory mostly belong to the same pair, so runs of voxels are sorted, not single voxels.

    Returns:
        For each pair that occurs: number of the predicted component, number of the true one, and voxels.
    """
    codes, voxels = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, predicted.size, CHUNK):
        first, second = (labels.reshape(-1)[start : start + CHUNK] for labels in (predicted, true))
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
    """Each code once, sorted, with the sum of its voxels."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return codes[first], np.add.reduceat(voxels[order], first) if len(first) else voxels
