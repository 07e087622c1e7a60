"""Classes whose Dice is 0, or no number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from nnunet_tricks.comparison.diagnosis.data import FoldData
from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.rate import RATE_TOO_LARGE, too_large
from nnunet_tricks.comparison.diagnosis.symptom import (
    ALWAYS_0,
    FALLS_TO_0,
    IS_NAN,
    STAYS_AT_0,
    TAIL,
    ZERO,
    Symptom,
    best_before,
    column,
    rate_words,
)
from nnunet_tricks.comparison.diagnosis.training import Training
from nnunet_tricks.nnunet.training_log import LoggedEpoch

PATCHES_WITHOUT = "patches without the class"
LOSS_WITHOUT = "a loss that ignores the class"
TOO_FEW = "too few voxels or cases of the class"

WAS_THERE = 0.1
"""Dice that shows that a class had been learned."""

RARE = 0.02
"""Share of patches that show a class on purpose, below which it is rare."""

FREQUENT = 0.15
"""Share from which on a class is not rare."""


def zero_from(values: Sequence[float]) -> int | None:
    """Place of the first value after which a class stays at 0, or is not there; None if it does not end at 0.

    Args:
        values: Pseudo Dice of a class in each epoch.

    Examples:
        >>> zero_from([0.3, 0.5, 0.0, 0.0, 0.0]), zero_from([0.3, 0.5, 0.0, 0.0])
        (2, None)
    """
    start = len(values)
    while start and not values[start - 1] > ZERO:
        start -= 1
    tail = values[start:]
    return start if len(tail) >= TAIL and any(not math.isnan(value) for value in tail) else None


def patch_share(training: Training, data: FoldData | None, name: str) -> float | None:
    """Share of all training patches that nnU-Net centres on a class; None if it is not known.

    Args:
        training: The training.
        data: Its preprocessed data.
        name: Name of the class.
    """
    batch, fraction = training.number("batch_size"), training.decimal("oversample_foreground_percent")
    if data is None or not data.training or batch is None or fraction is None:
        return None
    # As nnU-Net rounds it: of two patches, 0.33 makes one.
    forced = (
        fraction if training.text("probabilistic_oversampling") == "True" else 1 - round(batch * (1 - fraction)) / batch
    )
    shares = [1 / len(case.classes) if name in case.classes else 0.0 for case in data.training]
    return forced * fmean(shares)


def zeros(training: Training, data: FoldData | None) -> Iterator[Symptom]:
    """Classes whose pseudo Dice ends at 0: all of them together, or each alone."""
    epochs = training.epochs
    count = max(len(epoch.dice) for epoch in epochs)
    columns = {index: column(epochs, index) for index in range(count)}
    starts = {index: start for index, values in columns.items() if (start := zero_from(values)) is not None}
    if count and len(starts) == count:
        yield _all_zero(training, columns, starts)
        return
    for index, start in starts.items():
        yield _one_zero(training, data, index, columns[index], start)


def _all_zero(training: Training, columns: dict[int, list[float]], starts: dict[int, int]) -> Symptom:
    epochs = training.epochs
    start = max(starts.values())
    begin = epochs[start]
    best = max(best_before(values, start) for values in columns.values())
    fell = best >= WAS_THERE
    words = FALLS_TO_0 if fell else ALWAYS_0
    seen = (
        f"pseudo-Dice of all classes is 0 from epoch {begin.number} on, {rate_words(begin)}"
        + (f"; before, it was up to {best:.2f}" if fell else ""),
        _losses(epochs, start),
    )

    def otherwise() -> Finding:
        if found := too_large(training, begin):
            return found.explaining(words, seen, begin.number)
        early = "" if len(epochs) > 20 else f"; after {len(epochs)} epochs this may still change"
        return Finding(
            RATE_TOO_LARGE,
            words,
            "possible",
            (
                *seen,
                f"the rate is usual, but with momentum {training.momentum or 0.99:g} it may be too large here{early}",
            ),
            (
                "nnunet-tricks check DATASET and preview-augmentation first: nothing helps if labels do not fit",
                "a lower momentum, as nnU-Net v1 took after such a start, or a rate that rises slowly",
            ),
            ("SGD_momentum0p95", "Warmup", "NoSmooth"),
            epoch=begin.number,
        )

    causes = ("ignore label everywhere", "labels do not lie on their objects", "class missing from the fold")
    return Symptom(words, seen, causes, otherwise, epoch=begin.number)


def _one_zero(training: Training, data: FoldData | None, index: int, values: list[float], start: int) -> Symptom:
    epochs, name = training.epochs, training.name(index)
    begin, best = epochs[start], best_before(values, start)
    fell = best >= WAS_THERE
    words = FALLS_TO_0 if fell else STAYS_AT_0
    seen = (
        f"pseudo-Dice of '{name}' is 0 from epoch {begin.number} on, {rate_words(begin)}"
        + (f"; before, it was up to {best:.2f}" if fell else ""),
        _losses(epochs, start),
    )

    def otherwise() -> Finding:
        return _without(training, data, name, words, seen, begin.number, fell=fell)

    causes = ("class missing from the fold", "cases that lack the class are trained as background")
    return Symptom(words, seen, causes, otherwise, (name,), begin.number)


def _without(
    training: Training, data: FoldData | None, name: str, words: str, seen: tuple[str, ...], epoch: int, *, fell: bool
) -> Finding:
    """What is likely where one class is 0 and the others are not."""
    share = patch_share(training, data, name)
    content = _is_content(training)
    told: tuple[str, ...] = (
        () if share is None else (f"nnU-Net centres {share:.1%} of all training patches on '{name}'",)
    )
    if content:
        told += (content,)
    if share is not None and share >= FREQUENT and (content or not _is_stock_loss(training)):
        return Finding(
            LOSS_WITHOUT,
            words,
            "likely" if content else "possible",
            (*seen, *told, "so it is shown often, and the loss does not ask for it"),
            (
                f"nnunet-tricks conformance {training.trainer} looks whether the loss notices each class",
                "train with nnU-Net's own loss, or one that weighs classes, to compare",
            ),
            ("DiceWCE",),
            (name,),
            epoch,
        )
    if fell or content or (share is not None and share < RARE):
        return Finding(
            PATCHES_WITHOUT,
            words,
            "likely" if content or (share is not None and share < RARE) else "possible",
            (*seen, *told, "patches without a class are rewarded for never predicting it"),
            ("show it more often, and take the reward away that patches without it give",),
            ("NoSmooth", "ClassBalancedSampling"),
            (name,),
            epoch,
        )
    return Finding(
        TOO_FEW,
        words,
        "possible",
        (*seen, *told),
        (
            "nnunet-tricks check DATASET: look whether labels are numbers of instances, and how many cases have it",
            "show it more often, and weigh it in the loss; if it is tiny, find a region of interest first",
        ),
        ("ClassBalancedSampling", "DiceWCE"),
        (name,),
        epoch,
    )


def _is_stock_loss(training: Training) -> bool:
    return "DC_and_CE_loss" in training.text("loss") or "DC_and_BCE_loss" in training.text("loss")


def _is_content(training: Training) -> str:
    """A sentence where the loss is lower than it could be if all classes counted alike; nothing where not."""
    last = training.epochs[-1]
    known = [value for value in last.dice if not math.isnan(value)]
    missing = sum(value <= ZERO for value in known)
    # Dice and CE: each class adds at most its share of 1, and cross-entropy nothing below 0.
    bound = -(len(known) - missing) / len(known) if known else -1.0
    if not _is_stock_loss(training) or not missing or not last.train < bound - 0.05:
        return ""
    return (
        f"the training loss is {last.train:.2f}, lower than {bound:.2f}, which is all that the other classes can give"
    )


def _losses(epochs: Sequence[LoggedEpoch], start: int) -> str:
    shown = dict.fromkeys((0, max(start - 1, 0), len(epochs) - 1))
    return "training loss " + ", ".join(f"{epochs[at].train:.3g} in epoch {epochs[at].number}" for at in shown)


def undefined(training: Training) -> Iterator[Symptom]:
    """Classes whose Dice is no number: not in the patches that are measured, and not predicted."""
    epochs = training.epochs
    count = max(len(epoch.dice) for epoch in epochs)
    nowhere = [index for index in range(count) if all(map(math.isnan, column(epochs, index)[-TAIL:]))]
    for index in nowhere:
        name = training.name(index)
        seen = (f"pseudo-Dice of '{name}' is nan in the last {TAIL} epochs: no validation patch shows it",)

        def otherwise(name: str = name, seen: tuple[str, ...] = seen) -> Finding:
            return Finding(
                "class not in the validation patches",
                IS_NAN,
                "likely",
                seen,
                (
                    "nnunet-tricks split DATASET --existing counts the cases of each fold that have it",
                    "the validation after the training looks at whole images and can still measure it",
                ),
                classes=(name,),
            )

        causes = ("ignore label everywhere", "class missing from the fold", "class not in the validation cases")
        yield Symptom(IS_NAN, seen, causes, otherwise, (name,))
