"""Checks whether a PNG or a BMP file is complete."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from nnunet_tricks.utilities.whole_images.stream import AGAIN

PNG = b"\x89PNG\r\n\x1a\n"
BMP = b"BM"


def check_png(file: Path) -> None:
    """Read every chunk, to the one that ends the picture, and compare it with its check sum.

    Raises:
        ValueError: If a chunk is incomplete, or has changed.
    """
    with file.open("rb") as opened:
        begins = opened.read(len(PNG))
        if not PNG.startswith(begins) or not begins:
            return  # something else under this name: its reader says what it thinks of it
        kind = b""
        while kind != b"IEND":
            head = opened.read(8)
            length = struct.unpack(">I", head[:4])[0] if len(head) == 8 else 0
            kind = head[4:]
            stored = opened.read(length + 4)
            if len(head) < 8 or len(stored) < length + 4:
                raise ValueError(f"it is cut off: its data end after {opened.tell():,} bytes; {AGAIN}")
            if zlib.crc32(kind + stored[:length]) != struct.unpack(">I", stored[length:])[0]:
                raise ValueError(f"it is damaged: a check sum before byte {opened.tell():,} is another one; {AGAIN}")


def check_bmp(file: Path) -> None:
    """Compare the file's size with what the pixels need, or with what the header says where they are compressed.

    Raises:
        ValueError: If it is shorter.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(54)
    if not head.startswith(BMP):
        return
    if len(head) < 54:
        raise ValueError(f"it is cut off within its header; {AGAIN}")
    whole, _, start, info = struct.unpack_from("<4I", head, 2)
    if info >= 40:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", head, 18)
        if compression in (0, 3):
            whole = start + abs(height) * (-(-width * bits // 32) * 4)
    if size < whole:
        raise ValueError(f"it is cut off: {size:,} of {whole:,} bytes are there; {AGAIN}")
