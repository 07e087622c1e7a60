"""A lock, so that one process at a time makes the data set of a number. Standard library only.

The lock is the file ``nnUNet_raw/.DatasetXXX.lock``, which nnU-Net does not see. If the file system has kernel locks
(flock), the kernel releases it when its process ends, even if killed. Elsewhere the file's existence is the lock. It
names host, process and the process's start, so a file that a killed process left behind is noticed on that host.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from dataset_conversion.errors import ConversionError

# An attempt fails only if another process takes or releases the lock at that moment.
_TRIES = 1000


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """The process that has a lock.

    Attributes:
        name: Folder name of the data set that it makes.
        host: Name of its machine.
        pid: Process number there.
        started: Start of the process, in clock ticks since the machine's start; empty if the system does not tell.
        place: Start of the machine, and process namespace: the process number is valid only there.
        kernel: Whether the kernel also holds the lock, and releases it at the end of the process.
    """

    name: str
    host: str
    pid: int
    started: str
    place: str
    kernel: bool

    def is_gone(self) -> bool:
        """Whether the process has surely ended; False if that cannot be known from here."""
        if (self.host, self.place) != (platform.node(), _place()) or os.name != "posix":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return _start_of(self.pid) != self.started


class NumberLock:
    """The right to make the data set of one number; use it in a ``with`` block, or release it.

    Args:
        raw: Folder of the raw data sets; made if it does not exist.
        number: The data set's number.
        name: Folder name of the data set, which other processes report.

    Raises:
        ConversionError: At once, if another process is making a data set of that number there.
    """

    def __init__(self, raw: Path, number: int, name: str) -> None:
        """Take the lock."""
        self.file = raw / f".Dataset{number:03d}.lock"
        self._number = number
        self._name = name
        self._descriptor = -1
        self._held = False
        self._made = [folder for folder in (raw, *raw.parents) if not folder.exists()]
        try:
            if not any(self._taken() for _ in range(_TRIES)):
                raise ConversionError(f"{self.file} comes and goes, or is a link to nothing; remove it")
        except OSError as error:
            self._remove_empty_folders()
            raise ConversionError(
                f"{self.file} cannot be written ({error.strerror or error}); make {raw} writable or give another "
                f"folder of raw data sets"
            ) from error
        except ConversionError:
            self._remove_empty_folders()
            raise

    def release(self) -> None:
        """Release the lock, and remove folders that were made in vain."""
        if not self._held:
            return
        self._held = False
        # Removed while it is still held: a process that opened it in the meantime notices, and makes a new one.
        if self._descriptor >= 0 or _read(self.file) == self._holder(kernel=False):
            self.file.unlink(missing_ok=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._remove_empty_folders()

    def __enter__(self) -> NumberLock:
        """Hold the lock in a with block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock."""
        self.release()

    def _taken(self) -> bool:
        """Try to take the lock; False if the file was exchanged meanwhile, so that another try is needed."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        created = not self.file.exists()
        try:
            descriptor = os.open(self.file, os.O_RDWR | (os.O_CREAT | os.O_EXCL if created else 0), 0o666)
        except (FileExistsError, FileNotFoundError):
            return False
        try:
            kernel = _kernel_lock(descriptor)
            if kernel and not _is_at(descriptor, self.file):
                return False
            before = None if created else _read(self.file)
            if kernel:
                # A kernel lock does not exclude a process that reaches the folder another way and has none.
                if before and not before.kernel and not before.is_gone():
                    raise self._refusal(before)
                with contextlib.suppress(OSError):
                    # The content is only for the messages of other processes.
                    self._write(descriptor, kernel=True)
                self._descriptor, descriptor = descriptor, -1
            elif created:
                self._write(descriptor, kernel=False)
            else:
                self._take_over(before)
        except BlockingIOError:
            raise self._refusal(_read(self.file), kernel=True) from None
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self._held = True
        return True

    def _take_over(self, before: LockHolder | None) -> None:
        """Replace the file of a killed process where there are no kernel locks.

        Two processes may find it at the same time. The one that can make the second file continues, and looks again.
        """
        if before is None or not before.is_gone():
            raise self._refusal(before)
        guard = self.file.with_suffix(".taking")
        try:
            descriptor = os.open(guard, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            raise ConversionError(
                f"another process is about to make a data set of number {self._number}, or was killed while it began; "
                f"remove {guard} if none is"
            ) from None
        try:
            again = _read(self.file)
            if again != before:
                raise self._refusal(again)
            self._write(descriptor, kernel=False)
            os.replace(guard, self.file)
        finally:
            os.close(descriptor)
            guard.unlink(missing_ok=True)

    def _holder(self, *, kernel: bool) -> LockHolder:
        pid = os.getpid()
        return LockHolder(
            name=self._name,
            host=platform.node(),
            pid=pid,
            started=_start_of(pid),
            place=_place(),
            kernel=kernel,
        )

    def _write(self, descriptor: int, *, kernel: bool) -> None:
        content = json.dumps(asdict(self._holder(kernel=kernel))).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0) if hasattr(os, "pwrite") else os.write(descriptor, content)

    def _refusal(self, holder: LockHolder | None, *, kernel: bool = False) -> ConversionError:
        who = f"process {holder.pid} on {holder.host} ({holder.name})" if holder else "another process"
        gone = "" if kernel or (holder and holder.kernel) else f"; if that process is gone, remove {self.file}"
        return ConversionError(
            f"number {self._number} in {self.file.parent} is being made by {who}: wait for it, or choose another "
            f"number with -d{gone}"
        )

    def _remove_empty_folders(self) -> None:
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()
        self._made = []


def _kernel_lock(descriptor: int) -> bool:
    """Lock an open file; False if the system has no such locks.

    Raises:
        BlockingIOError: If another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:
        # Windows: the file's existence is the lock.
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        # Some network file systems are mounted without locks.
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(file: Path) -> LockHolder | None:
    """The process that wrote a lock's file; None if the file does not tell."""
    try:
        return LockHolder(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _start_of(pid: int) -> str:
    """Start of a process; empty if the system does not tell."""
    try:
        # The name of the program, in brackets, may contain blanks.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _place() -> str:
    """Where a process number of this host is valid: the machine's start, and the container's processes."""
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)
