"""Shows a queue at work: a live table on a terminal, plain lines elsewhere. On standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.costs import Costs
from nnunet_tricks.experiment.local import BLOCKED, DONE, ELSEWHERE, FAILED, LATE, RUNNING, CellProgress, LocalQueue
from nnunet_tricks.experiment.record import LOG, last_epoch, last_lines
from nnunet_tricks.utilities.durations import in_words

SHOWN = 12
"""Lines of a failed cell's log."""


class QueueDisplay:
    """Shows a queue.

    Attributes:
        costs: Expected duration of cells; read again whenever one is done.
    """

    def __init__(self, costs: Costs) -> None:
        """Show nothing yet."""
        self.costs = costs
        self._live: Any = None

    def __enter__(self) -> QueueDisplay:
        """Start the live table, if standard error is a terminal."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self._live:
            self._live.stop()

    def tell(self, progress: CellProgress) -> None:
        """Print the new state of a cell."""
        if progress.state == DONE:
            self.costs = replace(self.costs)
        took = f" in {in_words(time.monotonic() - progress.began)}" if progress.state == DONE and progress.began else ""
        where = f" on {progress.device}" if progress.state == RUNNING else ""
        line = f"{time.strftime('%H:%M:%S')} {progress.state}{took}{where}: {progress.cell.key}"
        line += f" ({progress.why})" if progress.state == ELSEWHERE and progress.why else ""
        if progress.state == FAILED:
            line += "\n" + failure(progress)
        self._print(line)

    def tell_busy(self, device: str) -> None:
        """Print that a device is in use by another queue."""
        self._print(f"{time.strftime('%H:%M:%S')} waiting: a cell of another queue runs on {device}")

    def _print(self, line: str) -> None:
        if self._live:
            # No markup: paths may hold brackets.
            self._live.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def look(self, queue: LocalQueue) -> None:
        """Refresh the live table."""
        if self._live:
            self._live.update(self.table(queue))

    def table(self, queue: LocalQueue) -> Any:
        """A table of what runs, for how long, and the time left."""
        from rich.console import Group
        from rich.table import Table

        progress = list(queue.progress.values())
        done = sum(each.state == DONE for each in progress)
        table = Table()
        for column in ("device", "cell", "so far", "at"):
            table.add_column(column)
        for each in progress:
            if each.state in (RUNNING, ELSEWHERE):
                so_far = in_words(time.monotonic() - each.began) if each.state == RUNNING else ""
                table.add_row(each.device or each.state, each.cell.key, so_far, last_epoch(each.cell.folder))
        return Group(f"{done} of {len(progress)} cells done, {left_in_words(queue, self.costs.seconds)}", table)


def left(
    progress: Mapping[str, CellProgress], expected: Callable[[Cell], float | None], *, workers: int
) -> tuple[float, int]:
    """Seconds until everything is done, and the number of cells whose duration is not known."""
    seconds, unknown = 0.0, 0
    for each in progress.values():
        if each.state in (DONE, FAILED):
            continue
        needed = expected(each.cell)
        if needed is None:
            unknown += 1
        else:
            so_far = time.monotonic() - each.began if each.state == RUNNING else 0.0
            seconds += max(needed - so_far, 0.0)
    return seconds / max(workers, 1), unknown


def left_in_words(queue: LocalQueue, expected: Callable[[Cell], float | None]) -> str:
    """The time left, for people."""
    seconds, unknown = left(queue.progress, expected, workers=len(queue.devices))
    unmeasured = f" and {unknown} cells of unknown duration" if unknown else ""
    return f"{in_words(seconds)}{unmeasured} left"


def failure(progress: CellProgress) -> str:
    """Why a cell failed, with the end of its log."""
    lines = [f"  | {line}" for line in last_lines(progress.cell.folder, SHOWN)]
    if progress.told or not lines:
        return f"  {progress.why}"
    return "\n".join([f"  {progress.why}; the end of {progress.cell.folder / LOG}:", *lines])


def summary(progress: Mapping[str, CellProgress], stopped: str = "") -> str:
    """The outcome of an experiment in a few lines.

    Args:
        progress: State of each cell.
        stopped: Reason for which the queue started nothing more; empty if there was none.
    """
    count = dict.fromkeys((DONE, FAILED, BLOCKED, LATE), 0)
    for each in progress.values():
        count[each.state] = count.get(each.state, 0) + 1
    lines = [f"{count.pop(DONE)} of {len(progress)} cells done"]
    lines[0] += "".join(f", {number} {state}" for state, number in count.items() if number)
    lines += [f"{each.cell.key}\n{failure(each)}" for each in progress.values() if each.state == FAILED]
    return "\n".join([*lines, *([stopped] if stopped else [])])
