"""What users see in the curves of a training, and how it is measured there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.nnunet.training_log import LoggedEpoch

FALLS_TO_0 = "my Dice falls to 0"
ALWAYS_0 = "my Dice is 0 from the start"
STAYS_AT_0 = "a class stays at 0"
IS_NAN = "my Dice is nan"
LOSS_NAN = "loss is NaN"
EXPLODES = "my loss explodes"
WORSE = "validation is much worse than pseudo-Dice"
NO_BETTER = "it no longer gets better"
GETS_WORSE = "my Dice gets worse again"
LOW = "my Dice stays low"

ZERO = 0.005
"""Dice below which a class is not predicted, or nowhere where it is."""

TAIL = 3
"""Number of last epochs in which a class must be 0."""


@dataclass(frozen=True)
class Symptom:
    """What users see in the curves.

    Attributes:
        words: What they say.
        seen: Sentences with numbers.
        causes: Names of the faults of labels and settings that would explain it.
        otherwise: Makes the finding where none of them is there.
        classes: Classes that it is about; empty for all.
        epoch: Epoch in which it begins.
    """

    words: str
    seen: tuple[str, ...]
    causes: tuple[str, ...]
    otherwise: Callable[[], Finding | None]
    classes: tuple[str, ...] = ()
    epoch: int | None = None


def column(epochs: Sequence[LoggedEpoch], index: int) -> list[float]:
    """Pseudo Dice of a class in each epoch; NaN where the log does not say."""
    return [epoch.dice[index] if index < len(epoch.dice) else math.nan for epoch in epochs]


def best_before(values: Sequence[float], end: int) -> float:
    """Largest value before a place; 0 if there is none."""
    return max((value for value in values[:end] if not math.isnan(value)), default=0.0)


def rate_words(epoch: LoggedEpoch) -> str:
    """The learning rate of an epoch in words."""
    return f"learning rate {epoch.rate:.3g}" if math.isfinite(epoch.rate) else "learning rate unknown"
