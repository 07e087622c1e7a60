"""How trainings went: losses and pseudo Dice of each epoch, from nnU-Net's logs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.nnunet import training_log
from nnunet_tricks.nnunet.training_log import LoggedTraining


@dataclass(frozen=True)
class EpochLog:
    """One epoch of a training.

    Attributes:
        number: Number of the epoch, from 0.
        train: Mean loss over the training steps; NaN if the log does not say, or it is infinite.
        validation: Mean loss over patches of the validation cases.
        dice: Mean over classes of the Dice on these patches, which nnU-Net calls pseudo Dice, in [0, 1].
    """

    number: int
    train: float
    validation: float
    dice: float


def curve(fold_folder: Path) -> list[EpochLog]:
    """The epochs of a training, in order.

    An epoch that was trained again after a kill counts as it was trained last.

    Args:
        fold_folder: Folder ``fold_X`` of nnU-Net's results.
    """
    return _means(training_log.of_folder(fold_folder))


def read(lines: Iterable[str]) -> list[EpochLog]:
    """The epochs in the lines of a log.

    Examples:
        >>> read(["2026-01-01 00:00:00.0: Epoch 0 ", "2026-01-01 00:00:09.0: train_loss -0.5 ",
        ...       "2026-01-01 00:00:09.0: Pseudo dice [np.float32(0.5), np.float32(0.75)] "])
        [EpochLog(number=0, train=-0.5, validation=nan, dice=0.625)]
    """
    return _means(training_log.read(lines))


def _means(log: LoggedTraining) -> list[EpochLog]:
    return [
        EpochLog(epoch.number, _finite(epoch.train), _finite(epoch.validation), epoch.mean_dice) for epoch in log.epochs
    ]


def _finite(loss: float) -> float:
    """A loss that can be drawn."""
    return loss if math.isfinite(loss) else math.nan
