"""Waiting for processes that may hang."""

from __future__ import annotations

import time
from typing import Any


def wait_for(started: Any, seconds: float) -> None:
    """Wait until all processes have ended, and end those that are left when the time is over or one has failed.

    Args:
        started: ``ProcessContext`` of torch's ``spawn``.
        seconds: Time to wait at most.

    Raises:
        TimeoutError: If the time was over.
    """
    end = time.monotonic() + seconds
    try:
        while not started.join(timeout=max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                raise TimeoutError(f"the processes had not ended after {seconds:.0f} s")
    finally:
        for process in started.processes:
            process.kill()
            process.join()
