"""One way to train within a comparison: a trainer, how the file calls it, and what of it does not exist yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from nnunet_tricks.catalogue.naming import DEFAULT_EPOCHS, PREFIX, IllegalName, TrainerName, combine, parse
from nnunet_tricks.experiment.foreign_trainers import is_there

SIMILAR = 0.8
"""From this likeness to a legal name on, an unknown one is taken for a slip."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        label: As the file calls it; ``baseline`` for that.
        name: The trainer of the first run.
        ours: What the name says, if it is one of ours.
        missing: Tricks in it that the file knows not to exist yet.
        note: What the user should know.
    """

    label: str
    name: str
    ours: TrainerName | None = None
    missing: tuple[str, ...] = ()
    note: str = ""

    def trainer(self, run: int) -> str:
        """The trainer's name in that run; nnU-Net's folders are named after it, so each run has its own."""
        if run == 1:
            return self.name
        return str(replace(self.ours, run=run)) if self.ours else f"{self.name}_run{run}"


def of_tricks(
    label: str, parts: Sequence[str], *, epochs: int | None, needs: Collection[str], shared: bool = False
) -> Arm:
    """The trainer that is several tricks together.

    Args:
        label: As the file calls it.
        parts: Tricks or trainers of ours.
        epochs: Length, nnU-Net's own if not given.
        needs: Tricks that do not exist yet.
        shared: Whether its randomness is that of the other arms.

    Raises:
        ValueError: If they are no trainer.

    Examples:
        >>> of_tricks("both", ["OHEM", "NoDeepSupervision"], epochs=20, needs=()).trainer(2)
        'nnUNetTrainerOHEM_NoDeepSupervision_20epochs_run2'
    """
    tokens = [token for part in parts for token in part.removeprefix(PREFIX).split("_") if token]
    if missing := tuple(dict.fromkeys(token for token in tokens if token in needs)):
        tail = [f"{epochs}epochs"] if epochs not in (None, DEFAULT_EPOCHS) else []
        return Arm(label=label, name=PREFIX + "_".join([*tokens, *tail]), missing=missing)
    name = _of_length(combine(*parts), epochs, shared=shared)
    return Arm(label=label, name=str(name), ours=name)


def of_trainer(label: str, name: str, *, epochs: int | None, needs: Collection[str], shared: bool = False) -> Arm:
    """A trainer by its name: ours, nnU-Net's or somebody's.

    Raises:
        ValueError: If the name is none, or nearly one of ours.

    Examples:
        >>> of_trainer("DA5", "nnUNetTrainerDA5", epochs=None, needs=()).name
        'nnUNetTrainerDA5'
        >>> of_trainer("mine", "nnUNetTrainerVeryOwn", epochs=None, needs=()).note[:43]
        'nnUNetTrainerVeryOwn is not known here: nei'
    """
    if any(token in needs for token in name.removeprefix(PREFIX).split("_")):
        return of_tricks(label, [name], epochs=epochs, needs=needs, shared=shared)
    try:
        ours = parse(name)
    except IllegalName as error:
        if shared:
            raise ValueError(f"{name} is not ours, and cannot share its randomness") from error
        return _others(label, name, error, epochs)
    ours = _of_length(ours, epochs, shared=shared)
    return Arm(label=label, name=str(ours), ours=ours)


def _others(label: str, name: str, error: IllegalName, epochs: int | None) -> Arm:
    if not name.isidentifier() or "__" in name:
        raise error
    length = f"; 'epochs: {epochs}' does not reach it, its length is its own" if epochs else ""
    if is_there(name):
        return Arm(label=label, name=name, note=f"{name} is not ours{length}" if length else "")
    own = name.removeprefix(PREFIX)
    if any(SequenceMatcher(None, own, near.removeprefix(PREFIX)).ratio() >= SIMILAR for near in error.nearest):
        raise error
    note = f"{name} is not known here: neither ours nor nnU-Net's nor in a folder of nnUNet_extTrainer{length}"
    return Arm(label=label, name=name, note=note)


def _of_length(name: TrainerName, epochs: int | None, *, shared: bool) -> TrainerName:
    """The trainer with the file's number of epochs, and its randomness shared if the file says so."""
    if name.run != 1:
        raise ValueError(f"{name} says which run it is: leave that out, and say 'runs'")
    if epochs is not None:
        if name.epochs not in (DEFAULT_EPOCHS, epochs):
            raise ValueError(f"{name} says another number of epochs than 'epochs: {epochs}': leave one of them out")
        name = replace(name, epochs=epochs)
    return parse(str(replace(name, shared=name.shared or shared)))
