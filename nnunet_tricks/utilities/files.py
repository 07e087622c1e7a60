"""Files that are whole or not there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(file: Path, content: str | bytes) -> None:
    """Nobody ever sees half a file, not even when the disk is full; who may read one that was there stays the same.

    Raises:
        OSError: Naming the file, which the system leaves out where a disk is full.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        if file.is_file():
            temporary.chmod(file.stat().st_mode)
        temporary.replace(file)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(file)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
