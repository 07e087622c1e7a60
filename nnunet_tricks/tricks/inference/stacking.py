"""Stacking: the members' log probabilities, each with a weight for each class.

    p_c = softmax_c(b_c + sum over members m of w_mc log p_mc)

Equal weights that sum to 1 are the geometric mean. A member that is good at one class only gets its weight there. For
regions it is the sigmoid of the weighted logits of each region. This is Wolpert's stacked generalization with logistic
regression as the model on top. Without the constants b_c a poor member would serve as one, and get weight for it.

Wolpert, "Stacked generalization", Neural Networks 5, 1992. Zhang D. et al., "Deep Learning for Medical Image
Segmentation: Tricks, Challenges and Future Directions", section 3.5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32]

SMALLEST = 1e-5
"""Probabilities are kept this far from 0 and 1. Saved ones are 0 or 1 where float16 ends."""

SURE = 0.95
"""Voxels where a member's largest probability is smaller are doubtful."""

DOUBTFUL, OTHERS = 1500, 500
"""Voxels of a case that weights are learned from: doubtful ones, where members differ, and others."""

RIDGE = 1e-3
"""Price of weights that differ from equal ones, so that alike members get alike weights."""


@dataclass(frozen=True)
class VoxelSample:
    """Some voxels of a case.

    Attributes:
        scores: Log probabilities, for regions logits: (outputs, members, voxels).
        wanted: (outputs, voxels): 1 for the true class, or where the region is.
        weights: How much each voxel counts, (voxels).
    """

    scores: npt.NDArray[np.float32]
    wanted: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]


def stacked(members: Sequence[Probabilities], weights: Sequence[Sequence[float]], *, regions: bool) -> Probabilities:
    """Probabilities (outputs, *spatial) of several members.

    Args:
        members: Probabilities of each.
        weights: (outputs, members + 1), the constant last.
        regions: Whether the outputs are regions.

    Examples:
        >>> first, second = np.float32([[0.1], [0.9]]), np.float32([[0.9], [0.1]])
        >>> stacked([first, second], [[1, 0, 0], [1, 0, 0]], regions=False).round(2).tolist()
        [[0.10000000149011612], [0.8999999761581421]]
    """
    total = np.zeros(members[0].shape, np.float32)
    for position, member in enumerate(members):
        of_outputs = np.array([row[position] for row in weights], np.float32)
        total += scores_of(member, regions) * of_outputs.reshape(-1, *[1] * (member.ndim - 1))
    total += np.array([row[-1] for row in weights], np.float32).reshape(-1, *[1] * (total.ndim - 1))
    return np.asarray(expit(total) if regions else softmax(total, 0), np.float32)


def scores_of(probabilities: Probabilities, regions: bool) -> Probabilities:
    """Log probabilities, or logits of regions."""
    bounded = np.clip(probabilities, np.float32(SMALLEST), np.float32(1 - SMALLEST))
    return np.asarray(np.log(bounded) - np.log1p(-bounded) if regions else np.log(bounded), np.float32)


def sample(
    members: Sequence[Probabilities],
    truth: npt.NDArray[Any],
    classes: Sequence[tuple[int, ...]],
    *,
    regions: bool,
    ignore: int | None = None,
    seed: int = 0,
) -> VoxelSample:
    """Voxels of a case, mostly those about which the members are in doubt; together they stand for all of them.

    Args:
        members: Probabilities (outputs, *spatial) of each.
        truth: (*spatial).
        classes: Label values of each class or region, regions in the order of the outputs.
        regions: Whether the outputs are regions.
        ignore: Label of voxels that nobody annotated; they are not taken.
        seed: Seed of the draws.
    """
    values = np.stack([member.reshape(len(member), -1) for member in members])
    wanted = truth.reshape(-1)
    if regions:
        doubtful = ((values < SURE) & (values > 1 - SURE)).any((0, 1)) | (values.max(0) - values.min(0) > 0.5).any(0)
    else:
        winners = values.argmax(1)
        doubtful = (values.max(1) < SURE).any(0) | (winners != winners[0]).any(0)
    counted = np.ones(len(wanted), bool) if ignore is None else wanted != ignore
    generator = np.random.default_rng(seed)
    places, weights = [], []
    scale = max(int((doubtful & counted).sum()), 1)
    for group, most in ((doubtful & counted, DOUBTFUL), (~doubtful & counted, OTHERS)):
        every = np.flatnonzero(group)
        drawn = generator.choice(every, min(most, len(every)), replace=False)
        places.append(drawn)
        weights.append(np.full(len(drawn), len(every) / max(len(drawn), 1) / scale, np.float32))
    at = np.concatenate(places)
    true = [np.isin(wanted[at], labels) for labels in classes]
    if not regions:
        true = [wanted[at] == output for output in range(values.shape[1])]
    scores = np.stack([scores_of(member[:, at], regions) for member in values], 1)
    return VoxelSample(scores, np.stack(true).astype(np.float32), np.concatenate(weights))


def fit(samples: Sequence[VoxelSample], *, regions: bool) -> Floats:
    """Weights (outputs, members + 1) with the least cross-entropy: none negative, and the constant last.

    Args:
        samples: Of each case. All cases count alike.
        regions: Whether the outputs are regions.

    Examples:
        >>> good, poor = np.float32([[0.1, 0.9], [0.9, 0.1]]), np.float32([[0.4, 0.6], [0.4, 0.6]])
        >>> voxels = sample([good, poor], np.array([1, 0]), [(1,)], regions=False)
        >>> weights = fit([voxels], regions=False)
        >>> bool((weights[:, 0] > weights[:, 1]).all())
        True
    """
    scores = np.concatenate([each.scores for each in samples], 2)
    wanted = np.concatenate([each.wanted for each in samples], 1)
    weights = np.concatenate([each.weights for each in samples]) / len(samples)
    outputs, members = scores.shape[:2]
    scores = np.concatenate([scores, np.ones_like(scores[:, :1])], 1)
    equal = np.array([1 / members] * members + [0.0])

    def loss(flat: Floats) -> tuple[float, Floats]:
        learned = flat.reshape(outputs, members + 1)
        mixed = np.matmul(learned[:, None].astype(np.float32), scores)[:, 0]
        if regions:
            price = np.logaddexp(0, mixed) - wanted * mixed
            slope = (expit(mixed) - wanted) * weights
        else:
            logs = log_softmax(mixed, 0)
            price = -wanted * logs
            slope = (np.exp(logs) - wanted) * weights
        gradient = np.matmul(scores, slope[:, :, None])[:, :, 0] + 2 * RIDGE * (learned - equal)
        value = float((price.sum(0) * weights).sum()) + RIDGE * float(((learned - equal) ** 2).sum())
        return value, gradient.astype(np.float64).reshape(-1)

    start = np.tile(equal, outputs)
    bounds: list[tuple[float | None, None]] = ([(0, None)] * members + [(None, None)]) * outputs
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, np.float64).reshape(outputs, members + 1)
