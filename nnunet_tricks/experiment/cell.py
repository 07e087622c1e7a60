"""A cell: one command, whether what it makes is there, and which cells must come first."""

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
    """What somebody has left who is no queue.

    Attributes:
        place: The folder.
        content: Names, sizes and times of its files; compared with itself only, as clocks differ.
        node: The machine that wrote last, if that is known; else empty.
        is_slow: Whether minutes may pass between two changes of its files.
        epoch: Seconds of a training's longest epoch so far; None if it has not ended one.
    """

    place: Path
    content: str
    node: str = ""
    is_slow: bool = False
    epoch: float | None = None

    @classmethod
    def in_folder(cls, place: Path, **known: Any) -> Traces:
        """The present ones of a folder and of those directly below it."""
        files = []
        for file in sorted([*place.glob("*"), *place.glob("*/*")]):
            with suppress(OSError):
                status = file.stat()
                files.append((str(file.relative_to(place)), status.st_size, status.st_mtime_ns))
        return cls(place=place, content=json.dumps(files), **known)


@dataclass(frozen=True, kw_only=True)
class Cell(ABC):
    """One command of an experiment.

    What is done is told by files alone, so that it does not matter who did it and how often it was interrupted.

    Attributes:
        key: Unique; also the path of its log, record and lock within the folder of states.
        states: That folder.
        after: Keys of the cells that it needs.
        rank: Cells of lower rank go first.
        on_device: Whether it wants a GPU.
        fragile: Whether a kill can leave files that look whole: then it must also have been seen to end well.
    """

    key: str
    states: Path
    after: tuple[str, ...] = ()
    rank: tuple[int, ...] = ()
    on_device: ClassVar[bool] = True
    fragile: ClassVar[bool] = False

    @property
    def folder(self) -> Path:
        """Its log, record and lock."""
        return self.states / self.key

    @abstractmethod
    def words(self) -> list[str]:
        """The command that does it, or what is left of it to do."""

    @abstractmethod
    def is_made(self) -> bool:
        """Whether what it makes is there."""

    def is_begun(self) -> bool:
        """Whether a part of what it makes is there."""
        return False

    def prepare(self) -> None:  # noqa: B027, most cells need no preparation
        """Make ready what the command needs, and put away what a kill has left broken."""

    def work(self) -> Work | None:
        """What its command writes, to be compared with commands that somebody types; None for what nobody would."""
        return None

    def traces(self) -> Traces | None:
        """What somebody has left who is no queue; None if there is nothing, or no attempt could spoil it."""
        return None

    def observer(self) -> Observer:
        """What its keeper notes."""
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
