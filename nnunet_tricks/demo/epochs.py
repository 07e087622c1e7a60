"""How far a training is, from nnU-Net's log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

MARK = "Epoch time: "
"""What nnU-Net prints at the end of each epoch."""

AFTERWARDS = 0.3
"""Final validation, in epochs."""


class EpochWatch:
    """The share of a training that is done.

    Args:
        log: What the training prints.
        epochs: How many it has.
        now: Gives the time in seconds.
    """

    def __init__(self, log: Path, epochs: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """See the class."""
        self._log, self._epochs, self._now = log, epochs, now
        self._began = self._ended = now()
        self._seen = 0

    def share(self) -> float | None:
        """Between epochs, by the time that those before took; unknown in the first."""
        seen = self._log.read_text(encoding="utf-8", errors="replace").count(MARK)
        if seen > self._seen:
            self._seen, self._ended = seen, self._now()
        if not seen:
            return None
        each = (self._ended - self._began) / seen or 1.0
        under_way = min((self._now() - self._ended) / each, 0.95)
        return (seen + under_way * (1 if seen < self._epochs else AFTERWARDS)) / (self._epochs + AFTERWARDS)
