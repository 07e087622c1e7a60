"""The processes of a cell: how to find them, how much memory they take, and how to end them."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "NNUNET_TRICKS_CELL"
"""Environment variable of a cell's processes and their children."""

_PROC = Path("/proc")
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_ONLY_FORKED = 0x40  # PF_FORKNOEXEC
_FIRST_SPACE = "pid:[4026531836]"
"""Linux's name for the view that shows all processes, which no container has."""


def end_leftovers(folder: Path) -> int:
    """Kill processes that an earlier attempt has left running, and return their number.

    Linux only. Loading processes of a killed training would run forever.
    """
    mark = f"{MARK}={folder}".encode()
    ended = 0
    for process in processes():
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
                ended += 1
    return ended


def dying_with_parent() -> Callable[[], None] | None:
    """A function that a child calls first, so that it is killed with its parent; None where the system cannot."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    return lambda: library.prctl(_DIES_WITH_PARENT, signal.SIGKILL) and None


def die_with_parent() -> None:
    """Let the system kill this process with its parent; first thing that a process of a pool does.

    Else the processes of a pool wait for work forever if the one that would give it is killed.
    """
    if ask := dying_with_parent():
        ask()


def memory_of_session(session: int) -> int:
    """Memory of all processes of a session in bytes, shared memory counted once; 0 where it is not known."""
    total = 0
    for process in processes():
        with suppress(OSError, ValueError, IndexError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                total += _proportional(process)
    return total


def memory_of(processes: Iterable[int]) -> int:
    """Memory of some processes in bytes, shared memory counted once; 0 where it is not known."""
    total = 0
    for process in processes:
        with suppress(OSError, ValueError, IndexError):
            total += _proportional(_PROC / str(process))
    return total


def memory_of_children() -> int:
    """Memory of the largest child that has ended, in bytes."""
    return _peak_memory(resource.RUSAGE_CHILDREN)


def memory_of_this_process() -> int:
    """Largest memory of this process so far, in bytes."""
    return _peak_memory(resource.RUSAGE_SELF)


def _peak_memory(who: int) -> int:
    # macOS counts bytes, Linux kibibytes.
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory_of_gpu(device: str) -> int | None:
    """Memory in use on a GPU by all programs, in bytes; None if it is not known."""
    if not device.isdecimal() or not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", f"--id={device}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        return int(subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout) * 2**20
    return None


def processes() -> Iterator[Path]:
    """The ``/proc`` folders of all visible processes; none where the system has no ``/proc``."""
    if _PROC.is_dir():
        yield from (entry for entry in _PROC.iterdir() if entry.name.isdecimal())


def has_only_forked(process: Path) -> bool:
    """Whether a process is a fork of another one, or dead, and not a program of its own.

    Raises:
        OSError: If it has ended.
    """
    words = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return words[0] in "ZX" or bool(int(words[6]) & _ONLY_FORKED)


def sees_all() -> bool:
    """Whether every process of this machine is visible: not in a container, and nothing is hidden."""
    try:
        return os.readlink(_PROC / "self" / "ns" / "pid") == _FIRST_SPACE and bool(
            (_PROC / "1" / "cmdline").read_bytes()
        )
    except OSError:
        return False


_OF_ONE_MACHINE = (
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "jfs",
    "overlay",
    "ramfs",
    "reiserfs",
    "tmpfs",
    "xfs",
    "zfs",
)
_EXPORTS = (Path("/etc/exports"), _PROC / "fs" / "nfsd" / "exports")


def is_of_this_machine(place: Path) -> bool:
    """Whether a folder is on a disk that no other machine sees, as far as the system tells."""
    try:
        if any(line.strip() and not line.lstrip().startswith("#") for file in _EXPORTS for line in _lines(file)):
            return False
        mounts = [line.partition(" - ") for line in _lines(_PROC / "self" / "mountinfo")]
        wanted, device = os.path.realpath(place), os.stat(place).st_dev
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    # The nearest mount counts, and the last of several at one place; btrfs numbers what lies below it.
    above = [(words.split()[4], words.split()[2], rest.split()[0]) for words, _, rest in mounts]
    nearest = max(
        (mount for mount in reversed(above) if _is_below(wanted, mount[0])),
        key=lambda mount: len(mount[0]),
        default=None,
    )
    return nearest is not None and nearest[2] in _OF_ONE_MACHINE and (nearest[1] == number or nearest[2] == "btrfs")


def _is_below(place: str, mount: str) -> bool:
    return place == mount or place.startswith(mount.rstrip("/") + "/")


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []


def _proportional(process: Path) -> int:
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
