"""Locks for file systems that have none: numbered files, each made by one process only, and signs of life.

``lock.7`` names the process that took the lock for the seventh time. The next owner is the process that creates
``lock.8``. It may try only if the last owner has let go or is dead. The system tells whether a process of this machine
lives. A process of another machine counts as dead if neither its file nor its sign of life changes between two looks.
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
"""Seconds without a sign of life after which a process of another machine is taken for dead; NFS may show files a
minute late."""

BEAT = "beat"
FREE = "free"
_PROC = Path("/proc")
_seen: dict[Path, tuple[str, float]] = {}


@dataclass(frozen=True)
class Claim:
    """The right to a file.

    Attributes:
        file: The claimed file.
        number: Count of all claims of the file, including this one.
    """

    file: Path
    number: int

    @classmethod
    def take(cls, file: Path) -> Claim | None:
        """Claim a file; None if a process that may be alive has it."""
        number, content = _newest(file)
        if content and _lives(file, content):
            return None
        mine = cls(file, number + 1)
        try:
            with mine._place.open("x", encoding="utf-8") as made:
                made.write(identity(os.getpid()))
        except FileExistsError:
            return None  # another process was faster
        if _newest(file)[0] != mine.number:
            mine._place.unlink(missing_ok=True)  # our view of the folder was out of date
            return None
        for old in range(1, mine.number):
            cls(file, old)._place.unlink(missing_ok=True)
        return mine

    def hand_to(self, process: int) -> None:
        """Give the claim to another process on this machine."""
        write_atomically(self._place, identity(process))

    def let_go(self) -> None:
        """Mark the file as free; the claim stays on disk, so that nobody counts from 1 again."""
        with suppress(OSError):
            write_atomically(self._place, FREE)

    @property
    def _place(self) -> Path:
        return self.file.with_name(f"{self.file.name}.{self.number}")


def is_claimed(file: Path) -> bool:
    """Whether a process that may be alive has claimed a file."""
    content = _newest(file)[1]
    return bool(content) and _lives(file, content)


def identity(process: int) -> str:
    """A unique name of a process: its machine, the container that its number belongs to, and when it started."""
    return f"{_here()} {process} {_began(process)}"


def is_alive(process: int, began: str = "") -> bool:
    """Whether a process of this machine lives, and its number was not given to another one."""
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
    """Number and content of the last claim: 0 if there is none, and ``?`` while it is being written."""
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
    """Whether something has changed within some seconds, by the clock of this process; a first look counts as one."""
    now = time.monotonic()
    before, since = seen.get(place, ("", now))
    if content != before:
        since = now
    seen[place] = content, since
    return now - since < patience


def _here() -> str:
    """This machine since its last start, and the container that process numbers belong to."""
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
    """When a process started, in ticks since its machine did; empty if there is none, or it is a zombie."""
    try:
        words = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in "ZX" else words[19]
