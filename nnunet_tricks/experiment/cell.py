"""A cell: one command, the files that show whether it is done, and the cells that must come first."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nnunet_tricks.experiment.observer import Observer
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.running_commands import Work


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Files that were not made by a queue, and may still be written by someone.

    Attributes:
        place: Their folder.
        content: Names, sizes and times of the files. It is only compared with an earlier look, as clocks differ.
        node: Machine that wrote last; empty if it is not known.
        is_slow: Whether minutes may pass between two changes.
        epoch: Seconds of a training's longest epoch so far; None before its first epoch ends.
    """

    place: Path
    content: str
    node: str = ""
    is_slow: bool = False
    epoch: float | None = None

    @classmethod
    def in_folder(cls, place: Path, **known: Any) -> Traces:
        """Look at a folder and the folders directly below it."""
        files = []
        for file in sorted([*place.glob("*"), *place.glob("*/*")]):
            with suppress(OSError):
                status = file.stat()
                files.append((str(file.relative_to(place)), status.st_size, status.st_mtime_ns))
        return cls(place=place, content=json.dumps(files), **known)


@dataclass(frozen=True, kw_only=True)
class Cell(ABC):
    """One command of an experiment.

    Only files say what is done, so it does not matter who did it or how often it was interrupted.

    Attributes:
        key: Unique name; also the path of its log, record and lock within the folder of states.
        states: Folder of states, for all cells.
        after: Keys of the cells that it needs.
        rank: Place in the queue; lower ranks go first.
        on_device: Whether it needs a GPU.
        fragile: Whether a kill can leave files that look complete. Then its record must also say that it ended well.
    """

    key: str
    states: Path
    after: tuple[str, ...] = ()
    rank: tuple[int, ...] = ()
    on_device: ClassVar[bool] = True
    fragile: ClassVar[bool] = False

    @property
    def folder(self) -> Path:
        """Folder of its log, record and lock."""
        return self.states / self.key

    @abstractmethod
    def words(self) -> list[str]:
        """The command that does it, or does what is left."""

    @abstractmethod
    def is_made(self) -> bool:
        """Whether everything that it makes exists."""

    def is_begun(self) -> bool:
        """Whether a part of what it makes exists."""
        return False

    def prepare(self) -> None:  # noqa: B027, most cells need no preparation
        """Provide what the command needs, and remove what a kill has left broken."""

    def work(self) -> Work | None:
        """What its command writes, to compare with commands typed by hand; None if nobody would type it."""
        return None

    def traces(self) -> Traces | None:
        """Files that were not made by a queue; None if there are none, or if an attempt could not damage them."""
        return None

    def observer(self) -> Observer:
        """What its keeper records while the command runs."""
        return Observer()

    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.is_made() and not (self.fragile and Record.read(self.folder).is_unfinished)

    @property
    def state(self) -> str:
        """``done``, ``started`` or ``open``."""
        if self.is_done():
            return "done"
        return "started" if self.is_begun() or Record.read(self.folder).is_unfinished else "open"
