"""What is at a path: a file that can be read to its end, or something else. Standard library only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def state_of(path: Path) -> os.stat_result | None:
    """Size and times of a file; None if nothing is there, or something that is not a file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state if stat.S_ISREG(state.st_mode) else None


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if it does not exist."""
    state = state_of(path)
    return state.st_size if state else 0


def why_unreadable(path: Path) -> str:
    """Why something cannot be read to its end; empty if it can. Opening a pipe, for one, would wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return _why_missing(path) or f"cannot be read: {error.strerror or error}"
    return next((f"is {what}, not a file" for is_kind, what in _KINDS if is_kind(mode)), "")


def _why_missing(path: Path) -> str:
    """Why the target of a link is missing; empty if there is no link."""
    try:
        target = os.readlink(path)
    except OSError:
        return ""
    if "/annex/objects/" in target.replace(os.sep, "/"):
        return "is a link to content that git-annex has not fetched; run 'datalad get' or 'git annex get' on it"
    return "is a link to something that does not exist"


def memory() -> int:
    """Memory of this machine in bytes; 0 if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
