"""The bytes of an image, whether compressed or not, read to their end."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

BLOCK = 1 << 20
BEGINNING = 1024
"""So many bytes of what is inflated are kept: binary headers are shorter."""

GZIP = b"\x1f\x8b"
AGAIN = "copy or make it again"

Packed = Literal["gzip", "zlib", "bzip2", "raw"]


@dataclass(frozen=True)
class Stored:
    """Place of the bytes of an image.

    Attributes:
        file: File that holds them.
        start: Place of the first one in it.
        packed: Compression; None to look at their beginning.
        size: Number of bytes when inflated, as the header says; 0 if only they themselves know.
    """

    file: Path
    start: int = 0
    packed: Packed | None = None
    size: int = 0


def check_stored(stored: Stored, needed: Callable[[bytes], int]) -> None:
    """Compare what is there with what is needed.

    Args:
        stored: The bytes.
        needed: Function from the first bytes to the number of all; 0 if nobody knows.

    Raises:
        ValueError: If there are fewer, or they do not fit their check sum.
    """
    if not stored.file.is_file():
        raise ValueError(f"its data file {stored.file} is not there")
    with stored.file.open("rb") as opened:
        opened.seek(stored.start)
        packed = stored.packed or ("gzip" if opened.read(2) == GZIP else "raw")
        opened.seek(stored.start)
        if packed == "raw":
            beginning, length = opened.read(BEGINNING), stored.file.stat().st_size - stored.start
        else:
            beginning, length = _inflated(opened, packed)
    expected = needed(beginning)
    if length < expected:
        raise ValueError(f"it is cut off: {length:,} of {expected:,} bytes are there; {AGAIN}")


def _inflated(opened: BinaryIO, packed: Packed) -> tuple[bytes, int]:
    """The beginning, and how many bytes there are."""
    beginning, length = b"", 0
    try:
        for block in _blocks(opened, packed):
            beginning += block[: BEGINNING - len(beginning)]
            length += len(block)
    except EOFError:
        raise ValueError(f"it is cut off: its compressed data end after {length:,} bytes; {AGAIN}") from None
    except (zlib.error, OSError) as error:
        raise ValueError(f"it is damaged: {error}; {AGAIN}") from None
    return beginning, length


def _blocks(opened: BinaryIO, packed: Packed) -> Iterator[bytes]:
    if packed == "zlib":
        yield from _zlib_blocks(opened)
        return
    with gzip.GzipFile(fileobj=opened) if packed == "gzip" else bz2.BZ2File(opened) as inflated:
        while block := inflated.read(BLOCK):
            yield block


def _zlib_blocks(opened: BinaryIO) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    while not inflater.eof:
        stored = opened.read(BLOCK)
        if not stored:
            raise EOFError
        yield inflater.decompress(stored)
