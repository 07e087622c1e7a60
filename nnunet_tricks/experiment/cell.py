"""A cell: one command, whether what it makes is there, and which cells must come first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nnunet_tricks.experiment.record import Record


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

    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.is_made() and not (self.fragile and Record.read(self.folder).is_unfinished)

    @property
    def state(self) -> str:
        """``done``, ``started`` or ``open``."""
        if self.is_done():
            return "done"
        return "started" if self.is_begun() or Record.read(self.folder).is_unfinished else "open"
