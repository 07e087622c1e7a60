"""What is known of a cell's attempts: a small JSON file beside its log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from nnunet_tricks.utilities.files import write_atomically

FILE = "record.json"
LOG = "log.txt"
TAIL = 4000
"""So many bytes at the end of a log hold its last epoch."""

KEPT = 20
"""So many attempts are remembered."""


@dataclass(frozen=True)
class Attempt:
    """One time that a cell's command was started.

    Attributes:
        command: The words.
        began: Seconds since 1970.
        device: ``cpu`` or a GPU's number.
        seconds: How long it took; None while it runs, and for ever if it was killed together with its keeper.
        returncode: Its exit code; negative for a signal, None as above.
        memory: Peak of all its processes together, in bytes.
        device_memory: Peak of the GPU's used memory in bytes, if it could be asked.
        why: Reason of a failure that the exit code does not tell.
        versions: What packages were there, by name.
    """

    command: str
    began: float
    device: str
    seconds: float | None = None
    returncode: int | None = None
    memory: int | None = None
    device_memory: int | None = None
    why: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What is known of a cell.

    Attributes:
        attempts: The last ones, oldest first.
        logs: Names of nnU-Net's logs that attempts have written, with the seconds since 1970 at which each attempt
            began, or None where somebody else wrote it; no names at all in records from before this was noted.
        split: Sum of the split that the training learns from; empty where nobody has seen it.
        inputs: What an evaluation has read, in one word; empty where nobody has noted it.
    """

    attempts: tuple[Attempt, ...] = ()
    logs: Mapping[str, float | None] | None = None
    split: str = ""
    inputs: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether the last attempt was not seen to end well."""
        return bool(self.attempts) and self.attempts[-1].returncode != 0

    @property
    def seconds(self) -> float | None:
        """Of all attempts together; None if one was killed with its keeper, or there is none."""
        times = [attempt.seconds for attempt in self.attempts]
        return sum(time for time in times if time is not None) if times and None not in times else None

    @property
    def memory(self) -> int | None:
        """The highest peak of any attempt, in bytes."""
        return max((attempt.memory for attempt in self.attempts if attempt.memory), default=None)

    @property
    def device_memory(self) -> int | None:
        """The highest peak on a GPU of any attempt, in bytes."""
        return max((attempt.device_memory for attempt in self.attempts if attempt.device_memory), default=None)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The record in a cell's folder; empty if there is none or it cannot be read."""
        try:
            content = json.loads((folder / FILE).read_text(encoding="utf-8"))
            known = {attribute.name for attribute in fields(Attempt)}  # a later version may have noted more
            attempts = [{key: noted[key] for key in noted.keys() & known} for noted in content["attempts"]]
            details = {key: content[key] for key in ("logs", "split", "inputs") if key in content}
            return cls(tuple(Attempt(**attempt) for attempt in attempts), **details)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def begin(self, folder: Path, attempt: Attempt) -> Record:
        """The record with one more attempt, written."""
        return replace(self, attempts=(*self.attempts, attempt)[-KEPT:]).written(folder)

    def end(self, folder: Path, attempt: Attempt) -> Record:
        """The record with its last attempt replaced by what became of it, written."""
        return replace(self, attempts=(*self.attempts[:-1], attempt)).written(folder)

    def with_split(self, digest: str) -> Record:
        """The record of a training that learns from this split."""
        return replace(self, split=digest)

    def written(self, folder: Path) -> Record:
        """The record, written."""
        content: dict[str, object] = {"attempts": [asdict(attempt) for attempt in self.attempts]}
        content |= {"split": self.split, "inputs": self.inputs}
        content |= {} if self.logs is None else {"logs": dict(self.logs)}
        write_atomically(folder / FILE, json.dumps(content, indent=1))
        return self


def last_lines(folder: Path, count: int = 12) -> list[str]:
    """The end of a cell's log."""
    try:
        text = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.rpartition("\r")[2] for line in text.splitlines() if line.strip()][-count:]


def last_epoch(folder: Path) -> str:
    """The last epoch that a cell's log tells of, or an empty string."""
    with suppress(OSError), (folder / LOG).open("rb") as log:
        log.seek(0, 2)
        log.seek(max(log.tell() - TAIL, 0))
        epochs = re.findall(rb"Epoch (\d+)\s", log.read())
        return f"epoch {int(epochs[-1])}" if epochs else ""
    return ""
