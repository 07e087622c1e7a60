"""The progress of a training, read from nnU-Net's log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

MARK = "Epoch time: "
"""Text that nnU-Net prints at the end of each epoch."""

AFTERWARDS = 0.3
"""Duration of the final validation, in epochs."""


class EpochWatch:
    """Tells which share of a training is done.

    Args:
        log: File with the training's output.
        epochs: Number of epochs.
        now: Function that gives the time in seconds.
    """

    def __init__(self, log: Path, epochs: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """Start the clock."""
        self._log, self._epochs, self._now = log, epochs, now
        self._began = self._ended = now()
        self._seen = 0

    def share(self) -> float | None:
        """The share that is done, estimated within an epoch from the earlier ones; None in the first epoch."""
        seen = self._log.read_text(encoding="utf-8", errors="replace").count(MARK)
        if seen > self._seen:
            self._seen, self._ended = seen, self._now()
        if not seen:
            return None
        each = (self._ended - self._began) / seen or 1.0
        under_way = min((self._now() - self._ended) / each, 0.95)
        return (seen + under_way * (1 if seen < self._epochs else AFTERWARDS)) / (self._epochs + AFTERWARDS)
