"""A loss that is no number, or that explodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.rate import RATE_TOO_LARGE, too_large
from nnunet_tricks.comparison.diagnosis.symptom import EXPLODES, LOSS_NAN, Symptom, rate_words
from nnunet_tricks.comparison.diagnosis.training import Training
from nnunet_tricks.nnunet.training_log import LoggedEpoch

PRECISION = "numbers too large for mixed precision, or a loss that can be infinite"

LARGE = 10.0
"""Loss above which it has exploded, as a multiple of the first one or of 1."""


def first_not_finite(epochs: Sequence[LoggedEpoch]) -> LoggedEpoch | None:
    """First epoch in which a loss that was written is no finite number."""
    for epoch in epochs:
        if not math.isfinite(epoch.train) or not math.isfinite(epoch.validation):
            return epoch
    return None


def first_exploded(epochs: Sequence[LoggedEpoch]) -> LoggedEpoch | None:
    """First epoch whose loss is many times what it was in the beginning; None if there is none.

    Args:
        epochs: Epochs with finite losses.
    """
    if not epochs:
        return None
    limit = LARGE * max(abs(epochs[0].train), 1.0)
    return next((epoch for epoch in epochs[1:] if max(epoch.train, epoch.validation) > limit), None)


def not_finite(training: Training, epoch: LoggedEpoch) -> Symptom:
    """A loss that is no finite number, in the epoch where it begins."""
    before = [past for past in training.epochs if past.number < epoch.number]
    then = f"the loss of epoch {epoch.number} is {epoch.train:g} (validation {epoch.validation:g})"
    earlier = f", that of the epoch before was {before[-1].train:.4g}" if before else ""
    seen = (f"{then}, {rate_words(epoch)}{earlier}",)

    def otherwise() -> Finding:
        found = too_large(training, epoch)
        if found:
            return found.explaining(LOSS_NAN, seen, epoch.number)
        on_gpu = training.text("device").startswith("cuda")
        return Finding(
            PRECISION,
            LOSS_NAN,
            "possible",
            (*seen, *(("it was trained on a GPU, so with mixed precision",) if on_gpu else ())),
            (
                "continue from the last checkpoint with --c: a single bad step may not come again",
                f"nnunet-tricks conformance {training.trainer} looks whether the loss stays finite under autocast",
                "train with a lower learning rate, such as SGD_lr0p001",
            ),
            ("SGD",),
            epoch=epoch.number,
        )

    return Symptom(LOSS_NAN, seen, ("values in the images that are no numbers",), otherwise, epoch=epoch.number)


def explodes(training: Training, epoch: LoggedEpoch) -> Symptom:
    """A loss that is many times what it was, from the epoch where it begins."""
    epochs = training.epochs
    top = max(epochs, key=lambda past: past.train)
    seen = (
        f"the training loss rose from {epochs[0].train:.3g} to {epoch.train:.3g} in epoch {epoch.number}, "
        f"{rate_words(epoch)}, and was up to {top.train:.4g}",
        f"mean pseudo-Dice of the last epoch is {epochs[-1].mean_dice:.2f}",
    )

    def otherwise() -> Finding:
        if found := too_large(training, epoch):
            return found.explaining(EXPLODES, seen, epoch.number)
        return Finding(
            RATE_TOO_LARGE,
            EXPLODES,
            "possible",
            seen,
            (
                "a lower rate or momentum, or one that rises slowly; gradients are clipped, so one odd case is enough "
                "only for a moment",
                f"nnunet-tricks conformance {training.trainer} looks whether the loss itself is sound",
            ),
            ("SGD_lr0p001", "Warmup"),
            epoch=epoch.number,
        )

    return Symptom(EXPLODES, seen, ("values in the images that are no numbers",), otherwise, epoch=epoch.number)
