"""Majority votes of label maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Segmentation = npt.NDArray[Any]

SLAB = 1 << 18
"""Voxels that are counted at once, so that the counts stay in the processor's cache."""


def majority(
    segmentations: Sequence[Segmentation],
    *,
    weights: Sequence[float] = (),
    probabilities: npt.NDArray[np.float32] | None = None,
) -> Segmentation:
    """The label that most members vote for, voxel by voxel.

    Where two labels have equally many votes, that of the higher mean probability wins if probabilities are given, and
    the lower label if these are equal or not given.

    Args:
        segmentations: Label maps of one shape, at least one.
        weights: Votes that each member has; 1 each if not given.
        probabilities: Mean probabilities (labels, *spatial) in the order of the labels from 0.

    Returns:
        A new label map.

    Raises:
        ValueError: If the shapes differ, or there are not as many weights as members.

    Examples:
        >>> majority([np.array([1, 2, 0]), np.array([1, 1, 0]), np.array([2, 0, 0])]).tolist()
        [1, 0, 0]
        >>> majority([np.array([1, 2]), np.array([2, 2])], weights=[0.7, 0.3]).tolist()
        [1, 2]
    """
    if not segmentations:
        raise ValueError("segmentations is empty, and at least one member must vote")
    shapes = {segmentation.shape for segmentation in segmentations}
    if len(shapes) > 1:
        raise ValueError(f"segmentations have different shapes: {', '.join(map(str, sorted(shapes)))}")
    if weights and len(weights) != len(segmentations):
        raise ValueError(f"weights has {len(weights)} numbers, and {len(segmentations)} members vote")
    flat = [segmentation.reshape(-1) for segmentation in segmentations]
    chance = None if probabilities is None else probabilities.reshape(len(probabilities), -1)
    result = flat[0].astype(np.result_type(*flat))
    for start in range(0, len(result), SLAB):
        slab = slice(start, start + SLAB)
        first = flat[0][slab]
        differs = np.zeros(len(first), bool)
        for other in flat[1:]:
            differs |= other[slab] != first
        if differs.any():
            votes = np.stack([member[slab][differs] for member in flat])
            likely = None if chance is None else chance[:, slab][:, differs]
            result[slab][differs] = _winners(votes, weights, likely)
    return result.reshape(segmentations[0].shape)


def _winners(
    votes: Segmentation, weights: Sequence[float], probabilities: npt.NDArray[np.float32] | None
) -> Segmentation:
    """The winners of voxels with votes (members, voxels)."""
    best = np.full(votes.shape[1], -1.0, np.float32)
    best_chance = np.zeros(votes.shape[1], np.float32)
    winner = np.zeros(votes.shape[1], votes.dtype)
    for member, labels in enumerate(votes):
        equal = votes == labels
        count = (np.asarray(weights, np.float32) @ equal if weights else equal.sum(0)).astype(np.float32)
        chance = np.zeros_like(best) if probabilities is None else _chance(probabilities, labels)
        ahead = count > best
        tied = count == best
        better = ahead | (tied & ((chance > best_chance) | ((chance == best_chance) & (labels < winner))))
        if member == 0:
            better[:] = True
        best[better], best_chance[better], winner[better] = count[better], chance[better], labels[better]
    return winner


def _chance(probabilities: npt.NDArray[np.float32], labels: Segmentation) -> npt.NDArray[np.float32]:
    chance: npt.NDArray[np.float32] = np.take_along_axis(probabilities, labels[None].astype(np.intp), 0)[0]
    return chance


def shares(segmentations: Sequence[Segmentation], labels: Sequence[int]) -> npt.NDArray[np.float32]:
    """The share of the members that vote for each label, (labels, *spatial); a mean probability of hard votes.

    Examples:
        >>> shares([np.array([1, 0]), np.array([1, 1])], [0, 1]).tolist()
        [[0.0, 0.5], [1.0, 0.5]]
    """
    counts = np.zeros((len(labels), *segmentations[0].shape), np.float32)
    for segmentation in segmentations:
        for position, label in enumerate(labels):
            counts[position] += segmentation == label
    return counts / np.float32(len(segmentations))
