"""Whether a file with a label map is complete, judged by its content, because times of files do not show it.

Standard library only.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import lru_cache
from pathlib import Path

PIECE = 1 << 20
NIFTI_HEADER, NIFTI_OFFSET = 348, 108
PNG_END = b"IEND\xaeB`\x82"


def is_whole(file: Path) -> bool | None:
    """Whether a file is complete; None if its format does not show it.

    Args:
        file: A file of any format; ``.gz``, ``.nii``, ``.png`` and ``.bmp`` are checked.
    """
    status = file.stat()
    return _is_whole(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=65536)
def _is_whole(file: Path, size: int, _: int) -> bool | None:
    """Read a file once for each size and time of change."""
    if not size:
        return False
    if file.suffix == ".gz":
        return _gzip(file)
    if file.suffix == ".png":
        with file.open("rb") as opened:
            opened.seek(max(size - len(PNG_END), 0))
            return opened.read() == PNG_END
    if file.suffix == ".bmp":
        with file.open("rb") as opened:
            head = opened.read(6)
        return len(head) == 6 and struct.unpack("<I", head[2:])[0] == size
    return _nifti(file, size) if file.suffix == ".nii" else None


def _gzip(file: Path) -> bool:
    """Whether gzip can read to the end, where it stores checksum and length."""
    try:
        with gzip.open(file) as opened:
            while opened.read(PIECE):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def _nifti(file: Path, size: int) -> bool:
    with file.open("rb") as opened:
        head = opened.read(NIFTI_HEADER)
    if len(head) < NIFTI_HEADER:
        return False
    order = "<" if struct.unpack("<i", head[:4])[0] == NIFTI_HEADER else ">"
    axes, *lengths = struct.unpack(f"{order}8h", head[40:56])
    bits = struct.unpack(f"{order}h", head[72:74])[0]
    offset = struct.unpack(f"{order}f", head[NIFTI_OFFSET : NIFTI_OFFSET + 4])[0]
    voxels = 1
    for length in lengths[: max(axes, 0)]:
        voxels *= length
    return size >= offset + voxels * bits // 8
