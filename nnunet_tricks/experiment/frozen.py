"""An experiment file frozen before results exist, so that nobody can choose afterwards what was asked.

``nnunet-tricks run SPEC --lock`` writes ``SPEC.lock.json`` beside the file. Whoever commits both before the first
training has a observer outside of this machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from nnunet_tricks import __version__
from nnunet_tricks.experiment.cells import trained
from nnunet_tricks.experiment.observer import logs_in, ours
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.spec import Experiment, read_experiment
from nnunet_tricks.nnunet.folders import Folders, read_json
from nnunet_tricks.nnunet.model import CHECKPOINTS, Model
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.wording import some

ENDING = ".lock.json"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What a lock says.

    Attributes:
        locked_at: Date and time, UTC, as ISO 8601 writes it.
        sha256: Sum of the experiment file, with the line ends of Unix.
        text: The experiment file as it was.
        trainings: How many the file asks for.
        version: Of this package.
        earlier: Locks that this one replaced before any result existed: time and sum of each.
    """

    locked_at: str
    sha256: str
    text: str
    trainings: int
    version: str = __version__
    earlier: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, spec: Path) -> Frozen | None:
        """The lock of an experiment file; None if it has none.

        Raises:
            ValueError: If it is broken.
        """
        file = place(spec)
        if not file.is_file():
            return None
        try:
            content = read_json(file)
            earlier = tuple((str(time), str(digest)) for time, digest in content.pop("earlier"))
            frozen = cls(**content, earlier=earlier)
            _time(frozen.locked_at)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise ValueError(f"{file} is no lock that 'run --lock' has written") from None
        # Earlier versions took the sum of the bytes as they were.
        if frozen.sha256 not in (_digest(frozen.text), hashlib.sha256(frozen.text.encode()).hexdigest()):
            raise ValueError(f"{file} was changed by hand: its text does not have its sum")
        return frozen


@dataclass(frozen=True, kw_only=True)
class FrozenState:
    """What a reader of results should know of the lock.

    Attributes:
        lock: The lock; None if the file was never locked.
        matches: Whether the experiment file still is what was locked.
        began_before: Trainings that had begun when it was locked, by the records of the queue, in seconds since 1970.
        untold: Trainings that no queue has begun, so that nothing but local clocks says when.
    """

    lock: Frozen | None = None
    matches: bool = False
    began_before: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the question was fixed before any answer, as far as can be told."""
        return self.lock is not None and self.matches and not self.began_before and not self.untold

    @property
    def sentence(self) -> str:
        """The state in words.

        Examples:
            >>> FrozenState().sentence
            'The experiment file was not locked before the trainings.'
        """
        if self.lock is None:
            return "The experiment file was not locked before the trainings."
        when = f"The experiment file was locked on {self.lock.locked_at}"
        if self.began_before:
            return f"{when}, when {len(self.began_before)} of its trainings had begun: {some(self.began_before)}."
        if not self.matches:
            return f"{when} and was changed afterwards: what was asked then is in the lock."
        if self.untold:
            return (
                f"{when} and has not changed since; whether {len(self.untold)} of its trainings had begun by then "
                f"cannot be told, as they were begun by hand: {some(self.untold)}."
            )
        return f"{when}, before the first training, and has not changed since."


def place(spec: Path) -> Path:
    """Where the lock of an experiment file is.

    Examples:
        >>> place(Path("losses.yaml")).name
        'losses.lock.json'
    """
    return spec.with_name(spec.stem + ENDING)


def freeze(experiment: Experiment, folders: Folders) -> Frozen:
    """Lock an experiment file.

    Args:
        experiment: What the file says.
        folders: nnU-Net's; none of the experiment's trainings may have begun there.

    Returns:
        The lock, the same one as before if the file has not changed.

    Raises:
        ValueError: If a training has begun already.
    """
    models = _models(experiment, folders)
    known, content = Frozen.read(experiment.file), _text(experiment.file)
    if known and _is_same(known.text, content):
        return known
    begun = [model.name for model in models if _has_begun(model)]
    if begun:
        before = f" (locked on {known.locked_at}, changed since)" if known else ""
        raise ValueError(
            f"{experiment.file}{before} cannot be locked now: {len(begun)} of its {len(models)} trainings have begun, "
            f"{some(begun)}. A lock shows that the question stood before the answers"
        )
    lock = Frozen(
        locked_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        sha256=_digest(content),
        text=content,
        trainings=len(models),
        earlier=(*known.earlier, (known.locked_at, known.sha256)) if known else (),
    )
    write_atomically(place(experiment.file), json.dumps(asdict(lock), indent=1) + "\n")
    return lock


def state_of(spec: Path, folders: Folders | None = None) -> FrozenState:
    """What is known of an experiment file's lock.

    Args:
        spec: The experiment file.
        folders: nnU-Net's, to see which trainings began before; None to leave that out.

    Raises:
        ValueError: If the lock is broken.
    """
    lock = Frozen.read(spec)
    if lock is None:
        return FrozenState()
    state = FrozenState(lock=lock, matches=_is_same(lock.text, _text(spec)))
    if folders is None:
        return state
    models = _models(read_experiment(spec), folders)
    locked = _time(lock.locked_at).timestamp()
    began = {model.name: _began(model) for model in models}
    return replace(
        state,
        began_before=tuple(name for name, (time, _) in began.items() if time is not None and time < locked),
        untold=tuple(
            name for name, (time, is_told) in began.items() if not is_told and (time is None or time >= locked)
        ),
    )


def _models(experiment: Experiment, folders: Folders) -> Sequence[Model]:
    return list(dict.fromkeys(compared.model for _, compared in trained(experiment, folders)))


def _has_begun(model: Model) -> bool:
    began, is_told = _began(model)
    return began is not None or not is_told or any(model.has(which) for which in CHECKPOINTS)


def _began(model: Model) -> tuple[float | None, bool]:
    """When the first training of a model that a queue has begun did so; and whether there is no other.

    Seconds since 1970 by the clock of the machine that ran it: nnU-Net's own logs have local times, which say something
    else wherever they are read in another time zone.
    """
    logs = logs_in(model.folder)
    known = ours(Record.read(model.folders.state / model.name / "train"), logs)
    times = [time for time in known.values() if time is not None]
    is_told = logs <= {log for log, time in known.items() if time is not None}
    without_log = not logs and any(model.has(which) for which in CHECKPOINTS)
    return min(times, default=None), is_told and not without_log


def _text(file: Path) -> str:
    """With the line ends of Unix: git may give a file others on another machine."""
    return _unix(file.read_bytes().decode("utf-8"))


def _is_same(text: str, other: str) -> bool:
    return _unix(text) == _unix(other)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _digest(text: str) -> str:
    return hashlib.sha256(_unix(text).encode()).hexdigest()


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' says no time zone")
    return moment
