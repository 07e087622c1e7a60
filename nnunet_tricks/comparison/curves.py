"""How trainings went: losses and pseudo Dice of each epoch, from nnU-Net's logs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?:\s+(Epoch|train_loss|val_loss|Pseudo dice)\s+(.+?)\s*$")
NUMBER = re.compile(r"nan|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
TYPE = re.compile(r"np\.float\d+|float\d+|np\.")


@dataclass(frozen=True)
class EpochLog:
    """One epoch of a training.

    Attributes:
        number: Number of the epoch, from 0.
        train: Mean loss over the training steps; NaN if the log does not say.
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
    return read(
        line for log in logs_of(fold_folder) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
    )


def logs_of(fold_folder: Path) -> list[Path]:
    """nnU-Net's logs of a training, the oldest first."""
    # Their names hold the time at which each began.
    return sorted(fold_folder.glob("training_log_*.txt"), key=_moment)


def read(lines: Iterable[str]) -> list[EpochLog]:
    """The epochs in the lines of a log.

    Examples:
        >>> read(["2026-01-01 00:00:00.0: Epoch 0 ", "2026-01-01 00:00:09.0: train_loss -0.5 ",
        ...       "2026-01-01 00:00:09.0: Pseudo dice [np.float32(0.5), np.float32(0.75)] "])
        [EpochLog(number=0, train=-0.5, validation=nan, dice=0.625)]
    """
    epochs: dict[int, dict[str, float]] = {}
    number = None
    for line in lines:
        match = LINE.match(line)
        if match is None:
            continue
        key, words = match.groups()
        if key == "Epoch":
            number = int(words) if words.isdecimal() else None
        elif number is not None:
            values = [float(word) for word in NUMBER.findall(TYPE.sub("", words))]
            defined = [value for value in values if not math.isnan(value)]
            epochs.setdefault(number, {})[key] = sum(defined) / len(defined) if defined else math.nan
    keys = ("train_loss", "val_loss", "Pseudo dice")
    return [EpochLog(number, *(known.get(key, math.nan) for key in keys)) for number, known in sorted(epochs.items())]


def _moment(log: Path) -> tuple[int, ...]:
    """The time in a log's name, whose numbers nnU-Net does not pad."""
    return tuple(map(int, re.findall(r"\d+", log.name)))
