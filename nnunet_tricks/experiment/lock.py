"""Locks that end with whoever holds them, however he ends."""

from __future__ import annotations

import os
from pathlib import Path


class Lock:
    """A lock on a file, held until it is released and by every process that was given its descriptor.

    Attributes:
        descriptor: To hand to a child, which then holds the lock too.
    """

    def __init__(self, descriptor: int) -> None:
        """Use ``take``."""
        self.descriptor = descriptor

    @classmethod
    def take(cls, file: Path) -> Lock | None:
        """The lock on a file, or None if somebody has it.

        Raises:
            ValueError: If the system knows no such locks.
        """
        try:
            import fcntl
        except ImportError as error:
            raise ValueError("the local queue needs Linux or macOS; '--runner print' works everywhere") from error
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Let go; children that were given it still hold it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Lock:
        """Hold it in a with block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self.release()


def is_held(file: Path) -> bool:
    """Whether somebody has the lock on a file; makes no file."""
    if not file.exists():
        return False
    lock = Lock.take(file)
    if lock is None:
        return True
    lock.release()
    return False
