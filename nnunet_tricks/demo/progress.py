"""Progress and time left of the demo, on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from nnunet_tricks.utilities.durations import in_words

CAUTION = 20.0
"""Seconds at the expected pace that are added to what was seen, since a short first stage says little about others."""


class Clock:
    """Estimates the share of stages that is done, and the time left.

    Expected durations come from another machine. Finished stages and the progress of the current one tell how much
    slower or faster this machine is.

    Args:
        expected: Seconds of each stage that is still to do, in order.
        now: Function that gives the time in seconds.

    Examples:
        >>> times = iter([0, 200])
        >>> clock = Clock({"one": 80, "two": 20}, now=lambda: next(times))
        >>> clock.start("one")
        >>> clock.finish()
        200
        >>> clock.share, clock.left
        (0.8, 44.0)
    """

    def __init__(self, expected: Mapping[str, float], *, now: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing done."""
        self._expected = dict(expected)
        self._now = now
        self._done_expected = self._done_seconds = 0.0
        self._stage = ""
        self._began = 0.0
        self._share: float | None = None

    def start(self, stage: str) -> None:
        """A stage begins."""
        self._stage, self._began, self._share = stage, self._now(), None

    def tell(self, share: float | None) -> None:
        """Set the share of the current stage that is done; None if it is not known."""
        self._share = share

    def finish(self) -> float:
        """End the current stage; returns its seconds."""
        seconds = self._now() - self._began
        self._done_expected += self._expected[self._stage]
        self._done_seconds += seconds
        self._stage = ""
        return seconds

    @property
    def share(self) -> float:
        """Share of all stages that is done, by their expected durations."""
        return (self._done_expected + self._current()[0]) / (sum(self._expected.values()) or 1.0)

    @property
    def left(self) -> float:
        """Seconds until all stages are done."""
        current, seconds = self._current()
        expected = self._done_expected + current
        pace = (self._done_seconds + seconds + CAUTION) / (expected + CAUTION)
        return pace * (sum(self._expected.values()) - expected)

    def _current(self) -> tuple[float, float]:
        """Expected and actual seconds of the current stage so far."""
        if not self._stage:
            return 0.0, 0.0
        whole, seconds = self._expected[self._stage], self._now() - self._began
        if self._share is not None:
            return self._share * whole, seconds
        # Unknown: assume the pace of earlier stages, but never that it is done.
        pace = (self._done_seconds + CAUTION) / (self._done_expected + CAUTION)
        return min(seconds / pace, 0.95 * whole), seconds


class StageDisplay:
    """Shows a clock while stages run.

    Args:
        expected: Seconds of each stage that is still to do.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        """Show nothing yet."""
        self.clock = Clock(expected)
        self._count, self._number = len(expected), 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> StageDisplay:
        """Show the bar, if standard error is a terminal."""
        if sys.stderr.isatty() and self._count:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, left="")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        if self._bar:
            self._bar.stop()

    def start(self, stage: str) -> None:
        """A stage begins."""
        self._number += 1
        self.clock.start(stage)
        if self._bar:
            self._bar.update(self._task, description=f"[{self._number}/{self._count}] {stage}")
        else:
            print(f"[{self._number}/{self._count}] {stage} ...", file=sys.stderr, flush=True)

    def tell(self, share: float | None = None) -> None:
        """Refresh the bar."""
        self.clock.tell(share)
        if self._bar:
            self._bar.update(self._task, completed=self.clock.share, left=f"{in_words(self.clock.left)} left")

    def finish(self) -> float:
        """End the current stage; returns its seconds."""
        seconds = self.clock.finish()
        if not self._bar:
            left = f", {in_words(self.clock.left)} left" if self._number < self._count else ""
            print(f"    done in {in_words(seconds)}{left}", file=sys.stderr, flush=True)
        return seconds
