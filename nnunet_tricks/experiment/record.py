"""The attempts at a cell, in a small JSON file beside its log."""

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
"""Bytes at the end of a log that are enough to find its last epoch."""

KEPT = 20
"""Number of attempts that are remembered."""


@dataclass(frozen=True)
class Attempt:
    """One time that a cell's command was started.

    Attributes:
        command: Command line.
        began: Start in seconds since 1970.
        device: ``cpu`` or the number of a GPU.
        seconds: Duration; None while it runs, and if it was killed together with its keeper.
        returncode: Exit code, negative for a signal; None like ``seconds``.
        memory: Peak memory of all its processes together, in bytes.
        device_memory: Peak of the GPU's memory in use, in bytes; None if it is not known.
        why: Reason of a failure, if the exit code does not show it.
        versions: Versions of packages, by name.
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
    """The attempts at a cell, and what its keepers have seen.

    Attributes:
        attempts: Last attempts, oldest first.
        logs: Names of nnU-Net's logs, each with the start of the attempt that wrote it in seconds since 1970, or None
            if no attempt wrote it. None in records of versions that did not store logs.
        split: Checksum of the split that the training learns from; empty if it is not known.
        inputs: Checksum of what an evaluation has read; empty if it is not known.
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
        """Duration of all attempts together; None if there is none, or one was killed with its keeper."""
        times = [attempt.seconds for attempt in self.attempts]
        return sum(time for time in times if time is not None) if times and None not in times else None

    @property
    def memory(self) -> int | None:
        """Peak memory of any attempt, in bytes."""
        return max((attempt.memory for attempt in self.attempts if attempt.memory), default=None)

    @property
    def device_memory(self) -> int | None:
        """Peak memory of any attempt on a GPU, in bytes."""
        return max((attempt.device_memory for attempt in self.attempts if attempt.device_memory), default=None)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read the record in a cell's folder; an empty one if there is none or it is broken."""
        try:
            content = json.loads((folder / FILE).read_text(encoding="utf-8"))
            known = {attribute.name for attribute in fields(Attempt)}  # a later version may have noted more
            attempts = [{key: noted[key] for key in noted.keys() & known} for noted in content["attempts"]]
            details = {key: content[key] for key in ("logs", "split", "inputs") if key in content}
            return cls(tuple(Attempt(**attempt) for attempt in attempts), **details)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def begin(self, folder: Path, attempt: Attempt) -> Record:
        """Write the record with one more attempt, and return it."""
        return replace(self, attempts=(*self.attempts, attempt)[-KEPT:]).written(folder)

    def end(self, folder: Path, attempt: Attempt) -> Record:
        """Write the record with the result of its last attempt, and return it."""
        return replace(self, attempts=(*self.attempts[:-1], attempt)).written(folder)

    def with_split(self, digest: str) -> Record:
        """A copy of the record with the checksum of a split."""
        return replace(self, split=digest)

    def written(self, folder: Path) -> Record:
        """Write the record, and return it."""
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
    """The last epoch in a cell's log, or an empty string."""
    with suppress(OSError), (folder / LOG).open("rb") as log:
        log.seek(0, 2)
        log.seek(max(log.tell() - TAIL, 0))
        epochs = re.findall(rb"Epoch (\d+)\s", log.read())
        return f"epoch {int(epochs[-1])}" if epochs else ""
    return ""
