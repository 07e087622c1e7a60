"""An experiment file frozen before results exist, so that nobody can choose afterwards what was asked.

``nnunet-tricks run SPEC --lock`` writes ``SPEC.lock.json`` beside the file. Whoever commits both before the first
training has a witness outside of this machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from nnunet_tricks import __version__
from nnunet_tricks.experiment.cells import trained
from nnunet_tricks.experiment.folders import Folders, read_json
from nnunet_tricks.experiment.model import CHECKPOINTS, Model
from nnunet_tricks.experiment.spec import Experiment, read_experiment
from nnunet_tricks.files import write_atomically
from nnunet_tricks.wording import some

ENDING = ".lock.json"
LOG = re.compile(r"training_log_(\d+)_(\d+)_(\d+)_(\d+)_(\d+)_(\d+)\.txt")


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What a lock says.

    Attributes:
        locked_at: Date and time, UTC, as ISO 8601 writes it.
        sha256: Of the experiment file's bytes.
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
        if frozen.sha256 != _digest(frozen.text.encode()):
            raise ValueError(f"{file} was changed by hand: its text does not have its sum")
        return frozen


@dataclass(frozen=True, kw_only=True)
class FrozenState:
    """What a reader of results should know of the lock.

    Attributes:
        lock: The lock; None if the file was never locked.
        matches: Whether the experiment file still is what was locked.
        began_before: Trainings that had begun when it was locked, by nnU-Net's logs.
    """

    lock: Frozen | None = None
    matches: bool = False
    began_before: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the question was fixed before any answer."""
        return self.lock is not None and self.matches and not self.began_before

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
    known, content = Frozen.read(experiment.file), experiment.file.read_bytes()
    if known and known.sha256 == _digest(content):
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
        text=content.decode("utf-8"),
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
    state = FrozenState(lock=lock, matches=lock.sha256 == _digest(spec.read_bytes()))
    if folders is None:
        return state
    models = _models(read_experiment(spec), folders)
    return replace(state, began_before=tuple(_begun_before(models, _time(lock.locked_at))))


def _models(experiment: Experiment, folders: Folders) -> Sequence[Model]:
    return list(dict.fromkeys(one.model for _, one in trained(experiment, folders)))


def _has_begun(model: Model) -> bool:
    return any(model.has(which) for which in CHECKPOINTS) or any(model.folder.glob("training_log_*.txt"))


def _begun_before(models: Iterable[Model], moment: datetime) -> Iterable[str]:
    for model in models:
        # nnU-Net names its logs after the local time at which it began.
        found = [LOG.fullmatch(log.name) for log in model.folder.glob("training_log_*.txt")]
        times = [datetime(*map(int, one.groups())).astimezone() for one in found if one]  # type: ignore[arg-type]
        if times and min(times) < moment:
            yield model.name


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
