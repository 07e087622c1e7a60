"""Whether somebody works at a cell's files without a queue, so that a second process would damage them.

On this machine the list of processes tells. On other machines only files do: work that somebody started there is left
alone until two looks, far enough apart, find it unchanged.
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
"""Seconds for which a look at all processes counts."""

EPOCHS = 3
"""A training that writes nothing for so many of its epochs is dead."""

SOON = 20.0
"""Seconds between the looks if the files are written on this machine."""

LONG = 600.0
"""Seconds between the looks if the duration of an epoch is not known yet, and for slow cases."""


@dataclass(frozen=True)
class Sign:
    """A sign that somebody works at a cell's files or may do so.

    Attributes:
        words: Description for people.
        is_sure: Whether it is certain; otherwise a second look must tell.
    """

    words: str
    is_sure: bool


@dataclass
class Strangers:
    """Looks for people and programs that work without a queue, and remembers what it saw.

    Attributes:
        patience: Seconds without a change after which files of another machine count as abandoned.
        look: Function that lists the commands that run on this machine.
        is_alone: Function that says whether no other machine sees a folder.
    """

    patience: float = PATIENCE
    look: Callable[[], list[RunningCommand]] = running
    is_alone: Callable[[Path], bool] = is_of_this_machine
    _commands: tuple[float, list[RunningCommand]] = (-FRESH, [])
    _seen: dict[Path, tuple[str, float]] = field(default_factory=dict)
    _unseen: tuple[float, bool] = (-FRESH, True)

    def running(self, cell: Cell) -> Sign | None:
        """A command typed on this machine that does what the cell would do; None if there is none."""
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
        """A sign of somebody who works at a cell without a queue; None if there is none."""
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
            f"started by hand; a second look within {in_words(patience)} shows whether another machine still runs it",
            is_sure=False,
        )

    def _is_known_dead(self, traces: Traces, results: Path) -> bool:
        """Whether this machine wrote the files, and none of its processes can still write them."""
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
