"""Predicted lesions beside true ones: which belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from nnunet_tricks.comparison.metrics.nearest import Mask

LEAST_IOU = 0.1
RULE = (
    "lesions are connected components, voxels touching at a face, an edge or a corner; a predicted and a true lesion "
    f"can be matched if their IoU is at least {LEAST_IOU}, each once, and the assignment with the most matches counts"
)


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
    neighbours = np.ones((3,) * truth.ndim)
    predicted, predictions = ndimage.label(prediction, neighbours)
    there, truths = ndimage.label(truth, neighbours)
    both = prediction & truth
    pairs, common = np.unique(np.stack([predicted[both], there[both]]), axis=1, return_counts=True)
    union = np.bincount(predicted.ravel())[pairs[0]] + np.bincount(there.ravel())[pairs[1]] - common
    fits = common / union >= LEAST_IOU
    found = 0
    if fits.any():
        rows, columns = (np.unique(which[fits], return_inverse=True)[1] for which in pairs)
        allowed = np.zeros((rows.max() + 1, columns.max() + 1))
        allowed[rows, columns] = 1
        found = int(allowed[linear_sum_assignment(allowed, maximize=True)].sum())
    return Detection(found, truths - found, predictions - found)
