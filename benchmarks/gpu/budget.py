"""The time of a run, and what it did not suffice for."""

from __future__ import annotations

import time
from collections.abc import Callable


class Budget:
    """The time that is left.

    Attributes:
        left_out: What was not measured, since the time was over.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock, which counts seconds."""
        self._clock = clock
        self._began, self._seconds, self._end = clock(), seconds, 1.0
        self.left_out: list[str] = []

    def until(self, share: float) -> None:
        """Set the share of the time at which the next part must have ended."""
        self._end = share

    def over(self, what: str) -> bool:
        """Whether the time of the part is over; then the thing is noted as left out."""
        ended = self.left <= 0
        if ended:
            self.left_out.append(what)
        return ended

    @property
    def left(self) -> float:
        """Seconds that are left for the part, at least 0."""
        return max(0.0, self._seconds * self._end - self.spent)

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began
