"""An experiment file that is locked before results exist, so that nobody can change the question afterwards.

``nnunet-tricks run SPEC --lock`` writes ``SPEC.lock.json`` beside the file. Commit both before the first training, and
the history of the repository shows the time as well.
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
    """Content of a lock.

    Attributes:
        locked_at: Date and time, UTC, in ISO 8601.
        sha256: Checksum of the experiment file with Unix line ends.
        text: Text of the experiment file when it was locked.
        trainings: Number of trainings that the file describes.
        version: Version of this package.
        earlier: Time and checksum of each lock that this one replaced before any result existed.
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
            raise ValueError(f"{file} is not a lock of 'run --lock': restore it, or remove it and lock again") from None
        # Earlier versions took the sum of the bytes as they were.
        if frozen.sha256 not in (_digest(frozen.text), hashlib.sha256(frozen.text.encode()).hexdigest()):
            raise ValueError(f"{file} was changed by hand: its text does not match its checksum")
        return frozen


@dataclass(frozen=True, kw_only=True)
class FrozenState:
    """What a reader of results should know about the lock.

    Attributes:
        lock: The lock; None if the file was never locked.
        matches: Whether the experiment file is still the same as when it was locked.
        began_before: Trainings that had already started when it was locked, by the records of the queue.
        untold: Trainings that no queue started, so that only local clocks say when.
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
            return f"{when} and was changed afterwards: the lock has the original text."
        if self.untold:
            return (
                f"{when} and has not changed since; {len(self.untold)} of its trainings were started by hand, so it is "
                f"not known whether they began earlier: {some(self.untold)}."
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
        folders: nnU-Net's folders; none of the experiment's trainings may have started there.

    Returns:
        The lock; the existing one if the file has not changed since.

    Raises:
        ValueError: If a training has already started.
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
            f"{some(begun)}. A lock must be older than every result"
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
        folders: nnU-Net's folders, to see which trainings started before; None to skip that.

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
    """When a queue first started to train a model, and whether all its trainings were started by a queue.

    The time is in seconds since 1970. nnU-Net's own logs have local times, which are ambiguous in another time zone.
    """
    logs = logs_in(model.folder)
    known = ours(Record.read(model.folders.state / model.name / "train"), logs)
    times = [time for time in known.values() if time is not None]
    is_told = logs <= {log for log, time in known.items() if time is not None}
    without_log = not logs and any(model.has(which) for which in CHECKPOINTS)
    return min(times, default=None), is_told and not without_log


def _text(file: Path) -> str:
    """The file's text with Unix line ends: git may change line ends from machine to machine."""
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
