"""What nnU-Net's log says of each epoch, and the same from the log that travels in a checkpoint."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?:\s+"
    r"(Epoch time:|Epoch|Current learning rate:|train_loss|val_loss|Pseudo dice|Mean Validation Dice:)\s+(.+?)\s*$"
)
NUMBER = re.compile(r"nan|[-+]?inf|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
CASE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?): "
    r"(?:(predicting) .+|.+, shape torch\.Size\(\[([\d, ]+)\]\), rank \d+)\s*$"
)
TYPE = re.compile(r"np\.float\d+|float\d+|np\.")


@dataclass(frozen=True)
class LoggedEpoch:
    """One epoch of a training. What the log does not say is NaN.

    Attributes:
        number: Number of the epoch, from 0.
        rate: Learning rate; the log has five decimals of it.
        train: Mean loss over the training steps.
        validation: Mean loss over patches of the validation cases.
        dice: Dice of each class on these patches, which nnU-Net calls pseudo Dice; NaN for a class that was neither
            there nor predicted.
        seconds: Duration.
    """

    number: int
    rate: float = math.nan
    train: float = math.nan
    validation: float = math.nan
    dice: tuple[float, ...] = ()
    seconds: float = math.nan

    @property
    def mean_dice(self) -> float:
        """Mean over the classes that have a Dice; NaN if none has."""
        defined = [value for value in self.dice if not math.isnan(value)]
        return sum(defined) / len(defined) if defined else math.nan


@dataclass(frozen=True)
class PredictedCase:
    """A case of the full validation.

    Attributes:
        shape: Channels and voxels along each axis of the preprocessed image.
        reading: Seconds in which it was read.
        seconds: Seconds in which it was predicted, at least those; NaN for the last case.
    """

    shape: tuple[int, ...]
    reading: float
    seconds: float


@dataclass(frozen=True)
class LoggedTraining:
    """What the logs of a training say.

    Attributes:
        epochs: Epochs that came to their end, in order; one that was trained again counts as it was trained last.
        begun: Number of the last epoch that began; None if none did.
        final_dice: Mean Dice of the full validation after the training, if there was one.
        predicted: Cases of that validation, in order.
    """

    epochs: tuple[LoggedEpoch, ...]
    begun: int | None = None
    final_dice: float | None = None
    predicted: tuple[PredictedCase, ...] = ()


def of_folder(fold_folder: Path) -> LoggedTraining:
    """Read the logs of a training.

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


def read(lines: Iterable[str]) -> LoggedTraining:
    """The epochs in the lines of a log.

    Examples:
        >>> read(["2026-01-01 00:00:00.0: Epoch 0 ", "2026-01-01 00:00:00.0: Current learning rate: 0.01 ",
        ...       "2026-01-01 00:00:09.0: train_loss -0.5 ",
        ...       "2026-01-01 00:00:09.0: Pseudo dice [np.float32(0.5), np.float32(0.75)] "]).epochs
        (LoggedEpoch(number=0, rate=0.01, train=-0.5, validation=nan, dice=(0.5, 0.75), seconds=nan),)
    """
    known: dict[int, dict[str, tuple[float, ...]]] = {}
    number = begun = final = None
    lines = list(lines)
    for line in lines:
        match = LINE.match(line)
        if match is None:
            continue
        key, words = match.groups()
        values = tuple(float(word) for word in NUMBER.findall(TYPE.sub("", words)))
        if key == "Epoch":
            number = begun = int(words) if words.isdecimal() else None
        elif key == "Mean Validation Dice:":
            final = values[0] if values else None
        elif number is not None and values:
            known.setdefault(number, {})[key] = values
    epochs = tuple(_epoch(number, values) for number, values in sorted(known.items()) if _is_complete(values))
    return LoggedTraining(epochs, begun, final, tuple(_predicted(lines)))


def of_checkpoint(logging: Mapping[str, Any]) -> tuple[LoggedEpoch, ...]:
    """The epochs in what a checkpoint holds under ``logging``; nothing if it is something else.

    Args:
        logging: Lists with a value for each epoch, by name.
    """

    def values(key: str) -> list[Any]:
        noted = logging.get(key)
        return list(noted) if isinstance(noted, Sequence) and not isinstance(noted, str) else []

    columns = [values(key) for key in ("lrs", "train_losses", "val_losses", "dice_per_class_or_region")]
    begins, ends = values("epoch_start_timestamps"), values("epoch_end_timestamps")
    seconds: list[Any] = [end - begin for begin, end in zip(begins, ends, strict=False)]
    epochs = []
    for number in range(max(map(len, columns), default=0)):
        rate, train, validation, dice, time = (
            column[number] if number < len(column) else None for column in (*columns, seconds)
        )
        classes = tuple(map(_number, dice)) if isinstance(dice, Sequence) else ()
        epochs.append(LoggedEpoch(number, _number(rate), _number(train), _number(validation), classes, _number(time)))
    return tuple(epochs)


def _predicted(lines: Iterable[str]) -> Iterator[PredictedCase]:
    """Cases of the validation, from the lines before and after each was read."""
    begun: datetime | None = None
    waiting: tuple[tuple[int, ...], float, datetime] | None = None
    for line in lines:
        match = CASE.match(line)
        if match is None:
            continue
        try:
            moment = datetime.fromisoformat(match[1])
        except ValueError:
            continue
        if match[2]:
            if waiting:
                yield PredictedCase(waiting[0], waiting[1], (moment - waiting[2]).total_seconds())
            begun, waiting = moment, None
        elif begun:
            shape = tuple(int(size) for size in match[3].split(",") if size.strip())
            waiting = shape, (moment - begun).total_seconds(), moment
    if waiting:
        yield PredictedCase(waiting[0], waiting[1], math.nan)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _epoch(number: int, values: Mapping[str, tuple[float, ...]]) -> LoggedEpoch:
    keys = ("Current learning rate:", "train_loss", "val_loss")
    rate, train, validation = (values.get(key, (math.nan,))[0] for key in keys)
    seconds = values.get("Epoch time:", (math.nan,))[0]
    return LoggedEpoch(number, rate, train, validation, values.get("Pseudo dice", ()), seconds)


def _is_complete(values: Mapping[str, tuple[float, ...]]) -> bool:
    """Whether nnU-Net has written what it writes at the end of an epoch."""
    return bool(values.keys() & {"train_loss", "val_loss", "Pseudo dice"})


def _moment(log: Path) -> tuple[int, ...]:
    """The time in a log's name, whose numbers nnU-Net does not pad."""
    return tuple(map(int, re.findall(r"\d+", log.name)))
