"""Encode pictures and label maps losslessly and fast: PNG, BMP, TIFF. The same pixels give the same bytes."""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_UP = 2


def encode(pixels: Pixels, file_ending: str) -> bytes:
    """Encode a whole image file in memory.

    Args:
        pixels: Grey (height, width) as uint8 or uint16, or RGB (height, width, 3) as uint8.
        file_ending: ``.png``, ``.bmp`` or ``.tif``.
    """
    if file_ending == ".png":
        return png(pixels)
    stream = io.BytesIO()
    if file_ending == ".bmp":
        Image.fromarray(pixels).save(stream, "BMP")
    else:
        # One strip: deflate restarts with each strip, and skimage reads the whole file at once.
        tifffile.imwrite(
            stream,
            pixels,
            photometric="rgb" if pixels.ndim == 3 else "minisblack",
            compression="adobe_deflate",
            compressionargs={"level": 1},
            predictor=True,
            rowsperstrip=pixels.shape[0],
            metadata=None,
            software=False,
        )
    return stream.getvalue()


def png(pixels: Pixels) -> bytes:
    """Encode a PNG file about ten times as fast as Pillow, at about the same size.

    Every line is stored as its difference to the line above, since photographs are smooth. NumPy computes that in one
    pass, and libdeflate compresses it. Pillow tries five filters for each line.
    """
    height, width = pixels.shape[:2]
    depth = 16 if pixels.dtype == np.uint16 else 8
    big_endian = pixels.astype(">u2") if depth == 16 else pixels
    lines = np.ascontiguousarray(big_endian).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, lines.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    # Label maps are small at any level, so a higher one costs little time.
    packed = bytes(imagecodecs.deflate_encode(filtered.tobytes(), 1 if pixels.ndim == 3 else 6))
    head = struct.pack(">IIBBBBB", width, height, depth, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
