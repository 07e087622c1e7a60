"""Symptoms in the curves of a training, and what is likely where neither labels nor settings explain them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from nnunet_tricks.comparison.diagnosis.data import FoldData
from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.training import RATE, Training
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

RATE_TOO_LARGE = "learning rate too large"
PATCHES_WITHOUT = "patches without the class"
LOSS_WITHOUT = "a loss that ignores the class"
TOO_FEW = "too few voxels or cases of the class"
PRECISION = "numbers too large for mixed precision, or a loss that can be infinite"
PLATEAU = "plateau"
OVERFITTING = "overfitting"
FALSE_ALARMS = "false alarms in whole images"
SMALL_CASES = "cases of which little is found count as much as others"
MISSES = "objects missed in whole images"

ZERO = 0.005
"""Dice below which a class is not predicted, or nowhere where it is."""

WAS_THERE = 0.1
"""Dice that shows that a class had been learned."""

LEAST = 5
"""Number of epochs from which on curves say something."""

TAIL = 3
"""Number of last epochs in which a class must be 0."""

RATES = {"SGD": 0.1, "Adam": 0.005}
"""Learning rates above which it is the first suspect. nnU-Net has 0.01 for SGD, and up to 0.001 for AdamW."""

LARGE = 10.0
"""Loss above which it has exploded, as a multiple of the first one or of 1."""

GAP = 0.2
"""Difference of pseudo-Dice and validation that is much."""

RARE = 0.02
"""Share of patches that show a class on purpose, below which it is rare."""

FREQUENT = 0.15
"""Share from which on a class is not rare."""


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


def rate_limit(training: Training) -> float:
    """Learning rate of the training's optimizer above which it is suspected."""
    return RATES["Adam"] if "Adam" in training.text("optimizer") else RATES["SGD"]


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


def column(epochs: Sequence[LoggedEpoch], index: int) -> list[float]:
    """Pseudo Dice of a class in each epoch; NaN where the log does not say."""
    return [epoch.dice[index] if index < len(epoch.dice) else math.nan for epoch in epochs]


def best_before(values: Sequence[float], end: int) -> float:
    """Largest value before a place; 0 if there is none."""
    return max((value for value in values[:end] if not math.isnan(value)), default=0.0)


def rate_words(epoch: LoggedEpoch) -> str:
    """The learning rate of an epoch in words."""
    return f"learning rate {epoch.rate:.3g}" if math.isfinite(epoch.rate) else "learning rate unknown"


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


def too_large(training: Training, epoch: LoggedEpoch) -> Finding | None:
    """The finding that the learning rate is too large, where it is larger than anything usual."""
    rate = epoch.rate if math.isfinite(epoch.rate) else training.decimal(RATE) or 0.0
    limit = rate_limit(training)
    if rate <= limit:
        return None
    usual = "0.001 or less" if limit == RATES["Adam"] else "0.01"
    return Finding(
        RATE_TOO_LARGE,
        "",
        "likely",
        (f"the learning rate was {rate:.4g}, and nnU-Net's for this optimizer is {usual}",),
        ("train again with nnU-Net's rate; where that is too large as well, let it rise slowly, with Warmup",),
        ("SGD", "Warmup"),
    )


def symptoms(training: Training, data: FoldData | None) -> Iterator[Symptom]:
    """What users see in the curves of a training.

    Args:
        training: The training.
        data: Its preprocessed data; None if they are not here.
    """
    epochs = training.epochs
    broken = first_not_finite(epochs)
    if broken is not None:
        yield _not_finite(training, broken)
        return
    exploded = first_exploded(epochs)
    if exploded is not None:
        yield _explodes(training, exploded)
        return
    if len(epochs) >= LEAST:
        zeros = list(_zeros(training, data))
        yield from zeros
        yield from _undefined(training)
        if not zeros:
            yield from _turns(training)
        yield from _low(training)
    yield from _validation(training)


def _not_finite(training: Training, epoch: LoggedEpoch) -> Symptom:
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


def _explodes(training: Training, epoch: LoggedEpoch) -> Symptom:
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


def _zeros(training: Training, data: FoldData | None) -> Iterator[Symptom]:
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

    return Symptom(words, seen, ("class missing from the fold",), otherwise, (name,), begin.number)


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
    first, then, last = epochs[0], epochs[max(start - 1, 0)], epochs[-1]
    return (
        f"training loss {first.train:.3g} in epoch {first.number}, {then.train:.3g} in epoch {then.number}, "
        f"{last.train:.3g} in epoch {last.number}"
    )


def _undefined(training: Training) -> Iterator[Symptom]:
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


def _turns(training: Training) -> Iterator[Symptom]:
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


def _low(training: Training) -> Iterator[Symptom]:
    """Dice that is low but not 0: no cause by itself, but the sign of labels that do not fit."""
    last = [value for epoch in training.epochs[-TAIL:] if not math.isnan(value := epoch.mean_dice)]
    if last and ZERO < fmean(last) < 0.5:
        seen = (f"mean pseudo-Dice of the last {len(last)} epochs is {fmean(last):.2f}",)
        yield Symptom(LOW, seen, ("labels do not lie on their objects", "no background is annotated"), lambda: None)


def _validation(training: Training) -> Iterator[Symptom]:
    """Scores of whole images that are far below those of patches."""
    if training.fold == "all":
        return
    for name, score in training.scores.items():
        if name not in training.names:
            continue
        values = column(training.epochs[-5:], training.names.index(name))
        pseudo = [value for value in values if not math.isnan(value)]
        if not pseudo or math.isnan(score.dice) or fmean(pseudo) - score.dice < GAP:
            continue
        seen = (
            f"'{name}': pseudo-Dice {fmean(pseudo):.2f} in the last epochs, validation {score.dice:.2f}",
            f"in whole images {score.true} voxels of it were found, {score.missed} missed, and {score.false} were "
            "false alarms",
        )
        yield Symptom(
            WORSE,
            seen,
            ("order of the regions",),
            partial(_worse, training, name, seen, fmean(pseudo)),
            (name,),
        )


def _worse(training: Training, name: str, seen: tuple[str, ...], pseudo: float) -> Finding:
    score = training.scores[name]
    if pseudo - score.pooled < GAP / 2:
        return Finding(
            SMALL_CASES,
            WORSE,
            "likely",
            (*seen, f"over the voxels of all cases together, as pseudo-Dice is computed, it is {score.pooled:.2f}"),
            (
                "nothing is broken: pseudo-Dice pools voxels, and the validation averages cases, in which small and "
                "missed objects count as much as large ones. nnunet-tricks evaluate shows each case",
                "sampling and losses that look at small objects",
            ),
            ("Blob", "ClassBalancedSampling"),
            (name,),
        )
    if score.false > 2 * score.missed:
        return Finding(
            FALSE_ALARMS,
            WORSE,
            "likely",
            (
                *seen,
                "training patches show objects more often than whole images do, so the rest was learned less",
            ),
            ("more patches from anywhere", "remove small pieces afterwards: nnunet-tricks tune"),
            ("Oversample_fraction0",),
            (name,),
        )
    return Finding(
        MISSES,
        WORSE,
        "possible",
        (*seen, "objects stand in the middle of patches in training, and anywhere in whole images"),
        (
            "nnunet-tricks predict with its views shows whether the place in the patch matters",
            "compare the size of patches and images: nnunet-tricks plan --patch makes larger patches",
        ),
        ("Oversample_fraction0",),
        (name,),
    )
