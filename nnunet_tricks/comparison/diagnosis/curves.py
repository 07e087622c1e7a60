"""Symptoms in the curves of a training, and what is likely where neither labels nor settings explain them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from nnunet_tricks.comparison.diagnosis.broken_loss import explodes, first_exploded, first_not_finite, not_finite
from nnunet_tricks.comparison.diagnosis.data import FoldData
from nnunet_tricks.comparison.diagnosis.symptom import LOW, TAIL, ZERO, Symptom
from nnunet_tricks.comparison.diagnosis.training import Training
from nnunet_tricks.comparison.diagnosis.turns import turns
from nnunet_tricks.comparison.diagnosis.whole_images import worse_than_patches
from nnunet_tricks.comparison.diagnosis.zeros import undefined, zeros

LEAST = 5
"""Number of epochs from which on curves say something."""


def symptoms(training: Training, data: FoldData | None) -> Iterator[Symptom]:
    """What users see in the curves of a training.

    Args:
        training: The training.
        data: Its preprocessed data; None if they are not here.
    """
    epochs = training.epochs
    broken = first_not_finite(epochs)
    if broken is not None:
        yield not_finite(training, broken)
        return
    exploded = first_exploded(epochs)
    if exploded is not None:
        yield explodes(training, exploded)
        return
    if len(epochs) >= LEAST:
        at_zero = list(zeros(training, data))
        yield from at_zero
        yield from undefined(training)
        if not at_zero:
            yield from turns(training)
        yield from _low(training)
    yield from worse_than_patches(training)


def _low(training: Training) -> Iterator[Symptom]:
    """Dice that is low but not 0: no cause by itself, but the sign of labels that do not fit."""
    last = [value for epoch in training.epochs[-TAIL:] if not math.isnan(value := epoch.mean_dice)]
    if last and ZERO < fmean(last) < 0.5:
        seen = (f"mean pseudo-Dice of the last {len(last)} epochs is {fmean(last):.2f}",)
        yield Symptom(LOW, seen, ("labels do not lie on their objects", "no background is annotated"), lambda: None)
