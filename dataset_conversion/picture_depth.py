"""How a picture's pixels are stored in its file. Pillow's mode does not tell: it is "RGB" for many kinds."""

from __future__ import annotations

import io
from dataclasses import dataclass

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from dataset_conversion.source_file import Buffer

_PNG_COLOURS = 2


@dataclass(frozen=True, kw_only=True)
class ColourDepth:
    """Bits of a channel, and channels of a pixel."""

    bits: int
    channels: int
    plain: bool
    """Whether every reader gives the same three channels of 8 bits."""


def colour_depth(data: Buffer, format_name: str) -> ColourDepth:
    """Find out how a file stores its pixels.

    Args:
        data: The whole file.
        format_name: Pillow's name of its format.
    """
    if format_name == "PNG":
        bits, kind = data[24], data[25]
        return ColourDepth(bits=bits, channels=3, plain=bits == 8 and kind == _PNG_COLOURS)
    if format_name == "BMP":
        bits = int.from_bytes(data[28:30], "little")
        return ColourDepth(bits=8, channels=3, plain=bits == 24)
    if format_name == "TIFF":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
            rgb = page.photometric == tifffile.PHOTOMETRIC.RGB
            stored = page.shape == (page.imagelength, page.imagewidth, 3) and page.dtype == np.uint8
            return ColourDepth(bits=bits, channels=page.samplesperpixel, plain=rgb and stored)
    return ColourDepth(bits=8, channels=3, plain=format_name in ("JPEG", "GIF", "WEBP"))


def sixteen_bit_colours(data: Buffer, format_name: str) -> NDArray[np.uint16]:
    """Read the first three channels of a picture with 16 bits per channel, of which Pillow keeps only 8."""
    if format_name == "TIFF":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            pixels = np.asarray(page.asarray())
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                pixels = np.moveaxis(pixels, 0, -1)
    else:
        pixels = np.asarray(imagecodecs.png_decode(data))
    return np.ascontiguousarray(pixels[..., :3]).astype(np.uint16)
