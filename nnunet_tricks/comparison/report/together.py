"""Several files that belong together: all of them are replaced, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_together(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder.

    All of them are written under other names first, so a full disk or a kill does no harm to what is there.

    Args:
        folder: Folder to write; made if it is not there.
        files: Contents by name; the last file is put into its place last.

    Raises:
        OSError: Naming the folder; what was there is as it was then.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    temporary = {name: folder / f".{name}.{os.getpid()}" for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with temporary[name].open("wb") as opened:
                opened.write(content.encode())
                opened.flush()
                # Some file systems only say here that they are full.
                os.fsync(opened.fileno())
        for name, place in temporary.items():
            place.replace(folder / name)
    except OSError as error:
        _clean(temporary, made)
        raise OSError(
            error.errno, f"{error.strerror}, so the report is not written and what was there is as it was", str(folder)
        ) from error
    except BaseException:
        _clean(temporary, made)
        raise


def _clean(temporary: Mapping[str, Path], made: list[Path]) -> None:
    with suppress(OSError):
        for place in temporary.values():
            place.unlink(missing_ok=True)
        for place in made:
            place.rmdir()
