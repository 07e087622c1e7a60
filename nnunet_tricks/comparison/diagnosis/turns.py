"""A Dice that no longer rises, or that falls again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.symptom import GETS_WORSE, NO_BETTER, ZERO, Symptom
from nnunet_tricks.comparison.diagnosis.training import Training

PLATEAU = "plateau"
OVERFITTING = "overfitting"


def turns(training: Training) -> Iterator[Symptom]:
    """A Dice that no longer rises although the rate is still high, or that falls again."""
    epochs = training.epochs
    dice = [epoch.mean_dice for epoch in epochs]
    window = max(20, len(epochs) // 3)
    if len(epochs) < 2 * window or any(math.isnan(value) for value in dice):
        return
    smooth = _smoothed(dice)
    best = max(range(len(smooth)), key=smooth.__getitem__)
    loss = _smoothed([epoch.train for epoch in epochs])
    if smooth[best] - smooth[-1] > 0.05 and loss[-1] < loss[best] and smooth[-1] > ZERO:
        seen = (
            f"smoothed pseudo-Dice was {smooth[best]:.3f} in epoch {epochs[best].number} and is {smooth[-1]:.3f} now, "
            f"while the training loss went on falling, from {loss[best]:.3g} to {loss[-1]:.3g}",
        )
        yield Symptom(GETS_WORSE, seen, (), lambda: _overfitting(seen, epochs[best].number), epoch=epochs[best].number)
        return
    first, top = epochs[0].rate, max(smooth[-window:])
    stays = top - max(smooth[:-window]) < 0.002 and abs(loss[-1] - loss[-window]) < 0.01
    if stays and epochs[-1].rate > 0.3 * first:
        seen = (
            f"smoothed pseudo-Dice is at most {max(smooth):.3f}, reached in epoch {epochs[best].number}, and has not "
            f"risen in the last {window} epochs; the learning rate is still {epochs[-1].rate:.3g}",
        )
        yield Symptom(NO_BETTER, seen, (), lambda: _plateau(seen, epochs[-window].number), epoch=epochs[-window].number)


def _smoothed(values: Sequence[float]) -> list[float]:
    """Nine tenths of what was, and one of what is, as nnU-Net smooths its pseudo Dice."""
    smooth: list[float] = []
    for value in values:
        smooth.append(0.9 * smooth[-1] + 0.1 * value if smooth else value)
    return smooth


def _overfitting(seen: tuple[str, ...], epoch: int) -> Finding:
    return Finding(
        OVERFITTING,
        GETS_WORSE,
        "possible",
        seen,
        (
            "checkpoint_best.pth is the network of the best smoothed pseudo-Dice: nnUNetv2_train with --val_best",
            "more varied patches, or a shorter schedule such as _250epochs",
        ),
        ("DA5", "StopEarly"),
        epoch=epoch,
    )


def _plateau(seen: tuple[str, ...], epoch: int) -> Finding:
    return Finding(
        PLATEAU,
        NO_BETTER,
        "possible",
        seen,
        (
            "this can be all that there is to learn: the rest of the schedule, where the rate falls, usually adds some",
            "a rate that falls when nothing gets better, or a shorter schedule with its own end",
        ),
        ("PlateauLR", "StopEarly"),
        epoch=epoch,
    )
