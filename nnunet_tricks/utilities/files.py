"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(file: Path, *, ending: str = "") -> Iterator[Path]:
    """A path beside a file, to write to: at the end it takes the file's place, and after an exception it is gone.

    Nobody ever sees half a file, not even when the disk is full. Who may read a file that was there stays the same.

    Args:
        file: File to write or to replace.
        ending: Ending of the path, for writers that go by it.

    Raises:
        OSError: If the path cannot be written. It names the file, which the system leaves out where a disk is full.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with replacing(Path(folder, "a.txt")) as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     Path(folder, "a.txt").read_text()
        'all of it'
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}{ending}")
    try:
        yield temporary
        if file.is_file():
            temporary.chmod(file.stat().st_mode)
        temporary.replace(file)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise type(error)(error.errno, error.strerror, str(file)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a file as ``replacing`` does.

    Args:
        file: File to write or to replace.
        content: Content to write; text in UTF-8.

    Raises:
        OSError: If it cannot be written. It names the file.
    """
    with replacing(file) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
