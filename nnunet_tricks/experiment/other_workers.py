"""Whether somebody works at a cell's files without a queue, so that a second process would spoil both.

On this machine its processes tell. Of other machines only files can: what somebody else has begun there is left alone
until two looks, long enough apart, have found it unchanged.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_tricks.experiment.cell import Cell, Traces
from nnunet_tricks.experiment.claims import PATIENCE, has_changed
from nnunet_tricks.experiment.processes import is_of_this_machine, sees_all
from nnunet_tricks.experiment.running_commands import RunningCommand, may_train_unseen, running
from nnunet_tricks.utilities.durations import in_words

FRESH = 2.0
"""So many seconds a look at all processes counts."""

EPOCHS = 3
"""A training that has written nothing for so many of its epochs is dead."""

SOON = 20.0
"""Seconds that are enough where files are written on this machine."""

LONG = 600.0
"""Seconds for a training that has not told yet how long its epochs take, and for cases that take their time."""


@dataclass(frozen=True)
class Sign:
    """That somebody works at a cell's files, or may.

    Attributes:
        words: What was seen.
        is_sure: Whether it is certain; else a second look must tell.
    """

    words: str
    is_sure: bool


@dataclass
class Strangers:
    """Looks for them, and remembers what it saw.

    Attributes:
        patience: Seconds without a change after which files of another machine are taken for left behind.
        look: Lists the commands that run here.
        is_alone: Whether a folder is seen by no other machine.
    """

    patience: float = PATIENCE
    look: Callable[[], list[RunningCommand]] = running
    is_alone: Callable[[Path], bool] = is_of_this_machine
    _commands: tuple[float, list[RunningCommand]] = (-FRESH, [])
    _seen: dict[Path, tuple[str, float]] = field(default_factory=dict)
    _unseen: tuple[float, bool] = (-FRESH, True)

    def running(self, cell: Cell) -> Sign | None:
        """A command that somebody has typed on this machine, and that does what the cell would do."""
        work = cell.work()
        if work is None:
            return None
        now = time.monotonic()
        if now - self._commands[0] >= FRESH:
            self._commands = now, self.look()
        for command in self._commands[1]:
            if command.cell != str(cell.folder) and any(work.is_same(theirs) for theirs in command.works):
                return Sign(f"by hand, process {command.process} of this machine", is_sure=True)
        return None

    def at(self, cell: Cell) -> Sign | None:
        """Who works at a cell without a queue; None if nobody does."""
        if sign := self.running(cell):
            return sign
        traces = cell.traces()
        if traces is None or self._is_known_dead(traces, cell.states.parent):
            return None
        patience, before = self._patience(traces), self._seen.get(traces.place)
        if not has_changed(self._seen, traces.place, traces.content, patience):
            return None
        if before is not None and before[0] != traces.content:
            return Sign("by hand on another machine: its files change", is_sure=True)
        return Sign(
            f"begun by hand; whether it still runs on another machine shows within {in_words(patience)}", is_sure=False
        )

    def _is_known_dead(self, traces: Traces, results: Path) -> bool:
        """Whether it was this machine's, whose processes are all known: its own note says so, or no other sees it."""
        if not sees_all() or not (traces.node == platform.node() or self.is_alone(traces.place)):
            return False
        now = time.monotonic()
        if now - self._unseen[0] >= FRESH:
            self._unseen = now, may_train_unseen(results)
        return not self._unseen[1]

    def _patience(self, traces: Traces) -> float:
        least = min(SOON, self.patience) if traces.node == platform.node() else self.patience
        if traces.epoch is None:
            return max(least, min(LONG, 5 * self.patience)) if traces.is_slow else least
        return max(least, EPOCHS * traces.epoch)
