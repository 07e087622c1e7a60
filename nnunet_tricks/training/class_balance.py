r"""Class balance by the effective number of samples.

A class with n voxels holds less than n voxels of information, because neighbours repeat each other: $(1 - \beta^n) /
(1 - \beta)$ of them, says Cui et al., "Class-balanced loss based on effective number of samples", CVPR 2019, eq. 2. A
class weighs the inverse of that. ``beta = 0`` makes all classes alike, ``beta = 1`` is the limit of inverse frequency.

Images have many voxels: with $\beta = 0.9999$ all classes of more than 50,000 voxels in the training fold weigh the
same. A $\beta$ that tells classes of millions of voxels apart lies closer to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nnunet_tricks.training.criterion import DecisionWeights


class VoxelCounts(NamedTuple):
    """Voxels of each class or region.

    Attributes:
        names: Background and labels, or regions.
        voxels: Number of voxels of each.
        annotated: Number of all voxels that are annotated.
        regions: Whether classes overlap.
    """

    names: tuple[str, ...]
    voxels: tuple[int, ...]
    annotated: int
    regions: bool

    @property
    def foreground(self) -> tuple[int, ...]:
        """Voxels of all classes but the background."""
        return self.voxels if self.regions else self.voxels[1:]


def effective_number_weights(counts: Sequence[int], beta: float) -> tuple[float, ...]:
    r"""Weights $(1 - \beta) / (1 - \beta^{n_c})$, scaled to a mean of 1 over the classes that occur.

    Args:
        counts: Voxels of each class in the training fold.
        beta: Beta from 0 (all alike) to 1 (inverse frequency).

    Returns:
        One weight for each class; 0 for a class without voxels, about which nothing can be learned.

    Examples:
        >>> effective_number_weights([256, 64], beta=1)
        (0.4, 1.6)
        >>> effective_number_weights([256, 64], beta=0)
        (1.0, 1.0)
    """
    voxels = np.asarray(counts, dtype=np.float64)
    occurs = voxels > 0
    # As 1 - b^n would be for b near 1, but exact.
    number = voxels if beta == 1 else np.ones_like(voxels) if beta == 0 else -np.expm1(voxels * np.log(beta))
    weights = np.divide(1, number, out=np.zeros_like(voxels), where=occurs)
    return tuple((weights / weights[occurs].mean()).tolist()) if occurs.any() else (0.0,) * len(counts)


def decision_weights(counts: VoxelCounts, beta: float) -> DecisionWeights:
    """Weights of voxels: among all classes, or for each region between outside and inside.

    Examples:
        >>> decision_weights(VoxelCounts(("background", "kidney"), (256, 64), 320, False), beta=1)
        ((0.4, 1.6),)
        >>> decision_weights(VoxelCounts(("kidney",), (64,), 320, True), beta=1)
        ((0.4, 1.6),)
    """
    if not counts.regions:
        return (effective_number_weights(counts.voxels, beta),)
    return tuple(effective_number_weights((counts.annotated - inside, inside), beta) for inside in counts.voxels)


def overlap_weights(counts: VoxelCounts, beta: float) -> tuple[float, ...]:
    """Weights of classes, background left out, or of regions."""
    return effective_number_weights(counts.foreground, beta)


def times(weights: DecisionWeights, factors: Sequence[float]) -> DecisionWeights:
    """Multiply the weight of background or outside, and of everything else.

    Args:
        weights: Weights by decision and right answer.
        factors: Factors for the first answer, and for all others.

    Returns:
        The same layout.

    Examples:
        >>> times(((1.0, 1.0, 2.0),), (0.75, 0.25))
        ((0.75, 0.25, 0.5),)
    """
    first, others = factors
    return tuple((row[0] * first, *(weight * others for weight in row[1:])) for row in weights)
