"""File locks that are released when their process exits, even if it is killed."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from nnunet_tricks.experiment.claims import Claim, is_claimed

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
"""Errors by which systems report a file system without such locks."""

_told: set[int] = set()


class Lock:
    """A lock on a file. It is held until this process and every child with its descriptor have let go.

    On a file system without locks it is a claim (see ``claims``), and ``hand_to`` must give it to a child.

    Attributes:
        descriptor: Descriptor to pass to a child, which then holds the lock too.
    """

    def __init__(self, descriptor: int, claim: Claim | None = None) -> None:
        """Use ``take``."""
        self.descriptor = descriptor
        self._claim = claim
        self._is_handed_over = False

    @classmethod
    def take(cls, file: Path) -> Lock | None:
        """The lock on a file; None if another process has it.

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
        except OSError as error:
            try:
                if error.errno not in WITHOUT_LOCKS:
                    raise
                _tell(file, error)
                claim = Claim.take(file)
            except BaseException:
                os.close(descriptor)
                raise
            if claim is None:
                os.close(descriptor)
                return None
            return cls(descriptor, claim)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    @property
    def is_claim(self) -> bool:
        """Whether the file system has no locks."""
        return self._claim is not None

    def hand_to(self, process: int) -> None:
        """Give the lock to a child that has the descriptor, before it starts to work."""
        if self._claim is not None:
            self._claim.hand_to(process)
            self._is_handed_over = True

    def release(self) -> None:
        """Let go; children with the descriptor still hold the lock."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            if self._claim is not None and not self._is_handed_over:
                self._claim.let_go()

    def end(self) -> None:
        """Let go after the end of the child that ``hand_to`` gave it to."""
        self.release()
        if self._claim is not None and self._is_handed_over:
            self._claim.let_go()
            self._is_handed_over = False

    def __enter__(self) -> Lock:
        """Hold it in a with block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self.release()


def is_held(file: Path) -> bool:
    """Whether a process has the lock on a file; creates no file."""
    if not file.exists():
        return False
    import fcntl

    # Opened for writing, which NFS requires, unless it is another user's file.
    with file.open("rb+" if os.access(file, os.W_OK) else "rb") as opened:
        try:
            fcntl.flock(opened.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            return is_claimed(file)
    return False


def _tell(file: Path, error: OSError) -> None:
    """Print a note, once for each file system without locks."""
    with suppress(OSError):
        device = file.stat().st_dev
        if device not in _told:
            _told.add(device)
            print(
                f"note: {file.parent} is on a file system without locks ({error.strerror}): signs of life take their "
                "place, so work that another machine left behind is free only after two minutes without one",
                file=sys.stderr,
            )
