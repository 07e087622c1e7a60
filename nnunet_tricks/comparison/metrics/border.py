"""Distances between the border voxels of two masks, as in medpy, in nnU-Net's tables and in those of most papers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.metrics.nearest import Floats, Mask, distances


@dataclass(frozen=True)
class Distances:
    """Distance of every border voxel of one mask to the nearest border voxel of the other.

    Attributes:
        to_truth: Distances from the prediction's border.
        to_prediction: Distances from the truth's border.
    """

    to_truth: Floats
    to_prediction: Floats

    @property
    def pooled(self) -> Floats:
        """Distances of both directions together."""
        return np.concatenate([self.to_truth, self.to_prediction])


def border_distances(
    prediction: Mask, truth: Mask, spacing: tuple[float, ...], ignored: Mask | None = None
) -> Distances:
    """Measure the distances between two borders in both directions.

    Args:
        prediction: Mask, not empty.
        truth: Mask of the same shape, not empty.
        spacing: Size of a voxel along each axis.
        ignored: Voxels that were not annotated.
    """
    predicted, true = border(prediction, ignored), border(truth, ignored)
    return Distances(distances(predicted, true, spacing), distances(true, predicted, spacing))


def border(mask: Mask, ignored: Mask | None = None) -> Mask:
    """Voxels with a face neighbour in the background. Everything outside of the image is background.

    An ignored neighbour may not be background, so it makes no border. It does if the mask would have no border at all.

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
