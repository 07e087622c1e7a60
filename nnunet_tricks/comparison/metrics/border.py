"""Distances between the border voxels of two masks: the definition of medpy, of nnU-Net's and most papers' tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.metrics.nearest import Floats, Mask, distances


@dataclass(frozen=True)
class Distances:
    """Of every border voxel of one mask to the nearest border voxel of the other.

    Attributes:
        to_truth: From the prediction's border.
        to_prediction: From the truth's border.
    """

    to_truth: Floats
    to_prediction: Floats

    @property
    def pooled(self) -> Floats:
        """Both directions together."""
        return np.concatenate([self.to_truth, self.to_prediction])


def border_distances(
    prediction: Mask, truth: Mask, spacing: tuple[float, ...], ignored: Mask | None = None
) -> Distances:
    """Measure both directions.

    Args:
        prediction: Not empty.
        truth: Not empty, same shape.
        spacing: Size of a voxel along each axis.
        ignored: Voxels of which nobody knows what they are.
    """
    found, there = border(prediction, ignored), border(truth, ignored)
    return Distances(distances(found, there, spacing), distances(there, found, spacing))


def border(mask: Mask, ignored: Mask | None = None) -> Mask:
    """Voxels with a face neighbour that is background; outside of the image is background.

    An ignored neighbour is not known to be background, so it makes no border, unless the mask had none at all then.

    Examples:
        >>> border(np.ones((3, 3), dtype=bool)).astype(int)
        array([[1, 1, 1],
               [1, 0, 1],
               [1, 1, 1]])
    """
    known = mask & ~_inside(mask if ignored is None else mask | ignored)
    return known if ignored is None or known.any() else mask & ~_inside(mask)


def _inside(mask: Mask) -> Mask:
    inside = mask.copy()
    for axis in range(mask.ndim):
        shrunk, full = np.moveaxis(inside, axis, 0), np.moveaxis(mask, axis, 0)
        shrunk[1:] &= full[:-1]
        shrunk[:-1] &= full[1:]
        shrunk[0] = shrunk[-1] = False
    return inside
