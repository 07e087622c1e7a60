"""Dice of the mean prediction of several members, for many weights at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_tricks.tricks.inference.tuning.overlap import Counts, Floats, dice

Probabilities = npt.NDArray[np.float32]

SLAB = 1 << 14
"""Voxels that are mixed at once."""


def mixture_dice(
    members: Sequence[Probabilities],
    truth: npt.NDArray[Any],
    weights: Floats,
    classes: Mapping[str, tuple[int, ...]],
    *,
    regions: bool,
    ignore: int | None = None,
) -> Floats:
    """Dice of each class with each candidate's weights.

    Where all members predict the same, every mean with weights of at least 0 predicts it, too. So only the other voxels
    are mixed.

    Args:
        members: Probabilities (outputs, *spatial) of each member.
        truth: (*spatial).
        weights: (candidates, members), not negative, and not all 0.
        classes: Label values of each class or region, regions in the order of the outputs.
        regions: Whether the outputs are regions.
        ignore: Label of voxels that nobody annotated; they do not count.

    Returns:
        (candidates, classes).

    Examples:
        >>> first, second = np.array([[0.4, 0.9], [0.6, 0.1]]), np.array([[0.9, 0.9], [0.1, 0.1]])
        >>> mixture_dice([first, second], np.array([1, 0]), np.array([[1, 0], [1, 1]]), {"x": (1,)}, regions=False)
        array([[1.],
               [0.]])
    """
    share = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    counted = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    values = np.stack([member.reshape(len(member), -1)[:, counted.reshape(-1)] for member in members])
    wanted = truth[counted].reshape(-1)
    positions: list[tuple[int, ...]] = list(classes.values())
    if not regions:
        return _dice_of(share, values, wanted, positions)
    # A region is the choice between itself and everything else.
    pairs = (np.stack([1 - values[:, output], values[:, output]], 1) for output in range(len(positions)))
    columns = [
        _dice_of(share, pair, np.isin(wanted, labels).astype(np.uint8), [(1,)])
        for pair, labels in zip(pairs, positions, strict=True)
    ]
    return np.concatenate(columns, 1)


def _dice_of(
    share: npt.NDArray[np.float32],
    values: Probabilities,
    wanted: npt.NDArray[Any],
    classes: Sequence[tuple[int, ...]],
) -> Floats:
    winners = values.argmax(1)
    differ = (winners != winners[0]).any(0)
    true: Counts = np.array([np.isin(wanted, labels).sum() for labels in classes])
    predicted, hits = _counted(winners[:1, ~differ], wanted[~differ], classes)
    predicted, hits = (np.repeat(count, len(share), 0) for count in (predicted, hits))
    values, wanted = values[:, :, differ], wanted[differ]
    for start in range(0, len(wanted), SLAB):
        slab = slice(start, start + SLAB)
        mixed = np.tensordot(share, values[:, :, slab], 1).argmax(1)
        more_predicted, more_hits = _counted(mixed, wanted[slab], classes)
        predicted += more_predicted
        hits += more_hits
    return dice(hits, predicted, true)


def _counted(
    labels: npt.NDArray[Any], wanted: npt.NDArray[Any], classes: Sequence[tuple[int, ...]]
) -> tuple[Counts, Counts]:
    """Predicted voxels and hits, (candidates, classes), of label maps (candidates, voxels)."""
    predicted = np.zeros((len(labels), len(classes)), np.int64)
    hits = np.zeros_like(predicted)
    for position, values in enumerate(classes):
        mask = labels == values[0] if len(values) == 1 else np.isin(labels, values)
        predicted[:, position] = mask.sum(1)
        hits[:, position] = mask[:, np.isin(wanted, values)].sum(1)
    return predicted, hits
