"""How long models were trained: as their names say, as their logs say, and which training ended early."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from nnunet_tricks.catalogue.naming import IllegalName, TrainerName, parse
from nnunet_tricks.comparison.cost import BEGUN, EPOCH
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.grouping import PredictedGroup
from nnunet_tricks.comparison.methods import Group
from nnunet_tricks.nnunet.training_log import logs_of
from nnunet_tricks.utilities.durations import in_words
from nnunet_tricks.utilities.wording import some

STOPPING = "stopping"
"""Hook of tricks that end a training before its last epoch."""


@dataclass(frozen=True)
class TrainingLength:
    """How long a training was.

    Attributes:
        place: Model and fold.
        name: Short name of the fold, and of the run where there are several.
        meant: Number of epochs by the trainer's name; None for a trainer with a name of its own.
        trained: Number of epochs by nnU-Net's log; None if no log says.
        seconds: Median seconds of an epoch; None if no log says.
        may_stop: Whether the name says that it may end early.
    """

    place: str
    name: str
    meant: int | None
    trained: int | None
    seconds: float | None
    may_stop: bool

    @classmethod
    def of(cls, prediction: Predictions, *, runs: int = 1) -> TrainingLength:
        """The length of the training behind predictions.

        Args:
            prediction: Predictions of the model.
            runs: Number of the method's runs.
        """
        trained = prediction.trained
        texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs_of(trained.fold_folder)]
        epochs = [[int(number) for number in BEGUN.findall(text)] for text in texts]
        times = [float(seconds) for text in texts for seconds in EPOCH.findall(text)]
        meaning = _meaning(trained.trainer)
        return cls(
            place=f"{prediction.model.name}/fold_{prediction.fold}",
            name=f"fold {prediction.fold}" + (f" of run {prediction.run}" if runs > 1 else ""),
            meant=meaning.epochs if meaning else None,
            # The last log with epochs: earlier ones may be of a training that was begun anew.
            trained=next((numbers[-1] + 1 for numbers in reversed(epochs) if numbers), None),
            seconds=median(times) if times else None,
            may_stop=meaning is not None and any(STOPPING in trick.info.hooks for trick in meaning.tricks),
        )


def named(group: Group) -> Iterator[str]:
    """What the names say of different lengths; that of a trainer with a name of its own is not known."""
    lengths: dict[int, list[str]] = {}
    for method in group.methods:
        with suppress(IllegalName):
            lengths.setdefault(parse(method.trainer).epochs, []).append(group.short(method))
    if len(lengths) > 1:
        yield f"Trained for different lengths, which can make more of a difference than a trick. {_listed(lengths)}."


def unnamed(models: PredictedGroup) -> Iterator[str]:
    """Different lengths that no name says: of a trainer that was changed, or that has a name of its own."""
    trainings = [length for length in map(TrainingLength.of, models.all_predictions) if not length.may_stop]
    by_name: dict[int | None, dict[int, list[str]]] = {}
    for length in trainings:
        if length.trained:
            by_name.setdefault(length.meant, {}).setdefault(length.trained, []).append(length.place)
    for lengths in by_name.values():
        if len(lengths) > 1:
            yield f"the logs show different lengths, which no name says: {_listed(lengths)}"
    meant = {length.meant for length in trainings if length.meant}
    own_names = {epochs: places for epochs, places in by_name.get(None, {}).items() if meant and epochs not in meant}
    if own_names:
        others = some([str(epochs) for epochs in sorted(meant)])
        yield f"the logs show other lengths than the {others} epochs of the other names: {_listed(own_names)}"


def ended_early(models: PredictedGroup) -> Iterator[str]:
    """Which trainings ended early, after how many epochs, and what that saved."""
    for method in models.group.methods:
        lengths = [TrainingLength.of(prediction, runs=len(method.runs)) for prediction in models.predictions[method]]
        if any(length.may_stop for length in lengths):
            yield _told(models.group.short(method), lengths)


def _told(name: str, lengths: Iterable[TrainingLength]) -> str:
    known = [(length, length.meant, length.trained) for length in lengths if length.meant and length.trained]
    if not known:
        return f"{name} may have ended early: no log says after how many epochs."
    listed = [f"{length.name} after {trained} of {meant} epochs" for length, meant, trained in known]
    left = sum(max(meant - trained, 0) for _, meant, trained in known)
    if not left:
        return f"{name} did not end early: {some(listed)}."
    share = left / sum(meant for _, meant, _ in known)
    times = [max(meant - trained, 0) * length.seconds for length, meant, trained in known if length.seconds]
    time = f", about {in_words(sum(times))}" if len(times) == len(known) else ""
    return f"{name} ended early: {some(listed)}. That saved {share:.0%} of its epochs{time}."


def _listed(lengths: Mapping[int, Sequence[str]]) -> str:
    return "; ".join(f"{epochs} epochs: {some(names)}" for epochs, names in sorted(lengths.items()))


def _meaning(trainer: str) -> TrainerName | None:
    try:
        return parse(trainer)
    except IllegalName:
        return None
