"""Locks for file systems that have none: numbered files, each made by one process only, and signs of life.

``lock.7`` says who took the lock for the seventh time. Whoever wants it next must be the one who makes ``lock.8``, and
may only try where the one before has let go or is dead. Who is on this machine is asked of the system. Of others it is
known by two looks: neither their file nor their sign of life has changed for a while.
"""

from __future__ import annotations

import os
import platform
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.utilities.files import write_atomically

PATIENCE = 120.0
"""Seconds without a sign of life after which somebody on another machine is taken for dead; NFS may show files a
minute late."""

BEAT = "beat"
FREE = "free"
_PROC = Path("/proc")
_seen: dict[Path, tuple[str, float]] = {}


@dataclass(frozen=True)
class Claim:
    """The right to a file.

    Attributes:
        file: What was claimed.
        number: How often it has been claimed, this time too.
    """

    file: Path
    number: int

    @classmethod
    def take(cls, file: Path) -> Claim | None:
        """Claim a file; None if somebody who may be alive has it."""
        number, content = _newest(file)
        if content and _lives(file, content):
            return None
        mine = cls(file, number + 1)
        try:
            with mine._place.open("x", encoding="utf-8") as made:
                made.write(identity(os.getpid()))
        except FileExistsError:
            return None  # somebody was faster
        if _newest(file)[0] != mine.number:
            mine._place.unlink(missing_ok=True)  # our view was an old one
            return None
        for old in range(1, mine.number):
            cls(file, old)._place.unlink(missing_ok=True)
        return mine

    def hand_to(self, process: int) -> None:
        """Make it that of another process on this machine."""
        write_atomically(self._place, identity(process))

    def let_go(self) -> None:
        """Say that it is free; the file stays, so that nobody counts from 1 again."""
        with suppress(OSError):
            write_atomically(self._place, FREE)

    @property
    def _place(self) -> Path:
        return self.file.with_name(f"{self.file.name}.{self.number}")


def is_claimed(file: Path) -> bool:
    """Whether somebody who may be alive has a file."""
    content = _newest(file)[1]
    return bool(content) and _lives(file, content)


def identity(process: int) -> str:
    """Names a process for ever: its machine, the view of processes that it is numbered in, and when it began there."""
    return f"{_here()} {process} {_began(process)}"


def is_alive(process: int, began: str = "") -> bool:
    """Whether a process of this machine is there, and is still the same one."""
    if _PROC.is_dir():
        now = _began(process)
        return bool(now) and (not began or now == began)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _newest(file: Path) -> tuple[int, str]:
    """The last claim: its number, 0 if there is none, and what it says; a claim that is being written says ``?``."""
    numbers = [
        int(match[1])
        for place in file.parent.glob(f"{file.name}.*")
        if (match := re.fullmatch(re.escape(file.name) + r"\.(\d+)", place.name))
    ]
    number = max(numbers, default=0)
    if not number:
        return 0, ""
    try:
        content = file.with_name(f"{file.name}.{number}").read_text(encoding="utf-8") or "?"
    except OSError:
        content = "?"
    return number, "" if content == FREE else content


def _lives(file: Path, content: str) -> bool:
    where, _, who = content.rpartition(" ")[0].rpartition(" ")
    if where == _here() and who.isdecimal():
        return is_alive(int(who), content.rpartition(" ")[2])
    with suppress(OSError):
        content += (file.parent / BEAT).read_text(encoding="utf-8")
    return has_changed(_seen, file, content, PATIENCE)


def has_changed(seen: dict[Path, tuple[str, float]], place: Path, content: str, patience: float) -> bool:
    """Whether something has changed within some seconds, by this process's clock; the first look is a change."""
    now = time.monotonic()
    before, since = seen.get(place, ("", now))
    if content != before:
        since = now
    seen[place] = content, since
    return now - since < patience


def _here() -> str:
    """This machine, since it was started, and the view of its processes that a container has."""
    space = _read_link(_PROC / "self" / "ns" / "pid")
    boot = ""
    with suppress(OSError):
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text(encoding="ascii").strip()
    return "/".join((platform.node(), boot, space)).replace(" ", "_")


def _read_link(place: Path) -> str:
    try:
        return os.readlink(place)
    except OSError:
        return ""


def _began(process: int) -> str:
    """When a process began, in ticks since its machine did; empty if it is not there, or is dead and not buried."""
    try:
        words = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in "ZX" else words[19]
