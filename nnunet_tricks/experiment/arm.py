"""One way to train within a comparison: the trainer, its label in the file, and tricks in it that do not exist yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from nnunet_tricks.catalogue.naming import DEFAULT_EPOCHS, PREFIX, IllegalName, TrainerName, combine, parse
from nnunet_tricks.experiment.foreign_trainers import is_there

SIMILAR = 0.8
"""An unknown name that is at least this similar to a legal one is taken for a typing error."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        label: Its name in the file; ``baseline`` for the baseline.
        name: Name of the trainer in the first run.
        ours: The parsed name, if the trainer is one of ours.
        missing: Tricks in the name that do not exist yet, by the file's ``needs``.
        note: Something that the user should know.
    """

    label: str
    name: str
    ours: TrainerName | None = None
    missing: tuple[str, ...] = ()
    note: str = ""

    def trainer(self, run: int) -> str:
        """The trainer's name in a run. Each run has its own, because nnU-Net names folders after the trainer."""
        if run == 1:
            return self.name
        return str(replace(self.ours, run=run)) if self.ours else f"{self.name}_run{run}"


def of_tricks(
    label: str, parts: Sequence[str], *, epochs: int | None, needs: Collection[str], shared: bool = False
) -> Arm:
    """The trainer that combines several tricks.

    Args:
        label: Its name in the file.
        parts: Tricks or trainers of ours.
        epochs: Number of epochs; ``None`` for nnU-Net's own.
        needs: Tricks that do not exist yet.
        shared: Whether it shares its randomness with the other arms.

    Raises:
        ValueError: If no trainer combines them.

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
    """A trainer by its name: one of ours, nnU-Net's or the user's.

    Raises:
        ValueError: If the name is not a class name, or is a misspelled name of ours.

    Examples:
        >>> of_trainer("DA5", "nnUNetTrainerDA5", epochs=None, needs=()).name
        'nnUNetTrainerDA5'
        >>> of_trainer("mine", "nnUNetTrainerVeryOwn", epochs=None, needs=()).note[:43]
        'nnUNetTrainerVeryOwn is not known: neither '
    """
    if any(token in needs for token in name.removeprefix(PREFIX).split("_")):
        return of_tricks(label, [name], epochs=epochs, needs=needs, shared=shared)
    try:
        ours = parse(name)
    except IllegalName as error:
        if shared:
            raise ValueError(f"shared_randomness works for our trainers only, and {name} is not one of them") from error
        return _others(label, name, error, epochs)
    ours = _of_length(ours, epochs, shared=shared)
    return Arm(label=label, name=str(ours), ours=ours)


def _others(label: str, name: str, error: IllegalName, epochs: int | None) -> Arm:
    if not name.isidentifier() or "__" in name:
        raise error
    length = f"; 'epochs: {epochs}' has no effect on it, it sets its own number of epochs" if epochs else ""
    if is_there(name):
        return Arm(label=label, name=name, note=f"{name} is not ours{length}" if length else "")
    own = name.removeprefix(PREFIX)
    if any(SequenceMatcher(None, own, near.removeprefix(PREFIX)).ratio() >= SIMILAR for near in error.nearest):
        raise error
    note = f"{name} is not known: neither our name, nor nnU-Net's, nor in a folder of nnUNet_extTrainer{length}"
    return Arm(label=label, name=name, note=note)


def _of_length(name: TrainerName, epochs: int | None, *, shared: bool) -> TrainerName:
    """The trainer with the file's number of epochs, and its randomness shared if the file says so."""
    if name.run != 1:
        raise ValueError(f"{name} contains the number of a run: leave it out and set 'runs' instead")
    if without := next((trick.info.name for trick in name.tricks if "task" in trick.info.hooks), ""):
        raise ValueError(
            f"{name} trains without labels, so there is nothing to compare: name the trick that starts from it, "
            f"{without.removeprefix('Pretext')}, and {without} is trained before it"
        )
    if epochs is not None:
        if name.epochs not in (DEFAULT_EPOCHS, epochs):
            raise ValueError(f"{name} contradicts 'epochs: {epochs}': leave one of them out")
        name = replace(name, epochs=epochs)
    return parse(str(replace(name, shared=name.shared or shared)))
