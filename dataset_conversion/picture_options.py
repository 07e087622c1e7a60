"""Options of data sets of pictures. Standard library only, until sizes are estimated."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from dataset_conversion.files_on_disk import size_of, why_unreadable
from dataset_conversion.model import ConversionPlan, ConversionSettings

ENDINGS = (".png", ".bmp", ".tif")
CHANNELS = {"0": "R", "1": "G", "2": "B"}
READER = "NaturalImage2DIO"

# Bytes written for each byte of JPEG: measured on dermoscopy pictures at quality 90 to 95.
_GROWTH = {".png": 6, ".tif": 7, ".bmp": 12}

# Pictures that were scaled down are sharper and compress less: measured on dermoscopy pictures, with their masks.
_BYTES_PER_PIXEL = {".png": 2.2, ".tif": 2.6, ".bmp": 4.1}
_SAMPLE = 100


def add_max_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-size``."""
    what = "scale larger pictures down so that their longer side has N pixels (default: full size)"
    parser.add_argument("--max-size", type=_positive, metavar="N", help=what)


def add_any_colour(parser: argparse.ArgumentParser) -> None:
    """Add ``--any-colour``."""
    what = "in a colour mask, whatever is not dark is the object (default: such a mask is refused)"
    parser.add_argument("--any-colour", action="store_true", help=what)


def written_bytes(plan: ConversionPlan, settings: ConversionSettings) -> int:
    """Estimate the written bytes.

    The first bytes of some evenly spread pictures tell their size, which decides with ``--max-size``.
    """
    growth = _GROWTH[settings.file_ending]
    jpeg = (".jpg", ".jpeg")
    images = sorted({case.image for case in plan.cases})
    whole = sum(size_of(file) * (growth if file.suffix.lower() in jpeg else 2) for file in images)
    longest = settings.options.get("max_size")
    uncompressed = settings.file_ending == ".bmp"
    if not images or not (longest or uncompressed):
        return whole
    sample = images[:: max(1, len(images) // _SAMPLE)]
    pixels = [_pixels(file, int(longest or 1 << 30)) for file in sample]
    known = [number for number in pixels if number is not None]
    # The size of arrays and unreadable files is not known.
    if not known:
        return whole
    by_pixels = int(sum(known) / len(known) * _BYTES_PER_PIXEL[settings.file_ending] * len(images))
    return by_pixels if uncompressed else min(whole, by_pixels)


def _pixels(file: Path, longest: int) -> float | None:
    """Pixels of a picture, scaled down to ``longest``; None if the file does not tell."""
    from PIL import Image

    if why_unreadable(file):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                width, height = picture.size
    # Damaged pictures fail in many ways; they are refused later, one by one.
    except Exception:
        return None
    return width * height * min(1.0, longest / max(width, height, 1)) ** 2


def _positive(text: str) -> int:
    """Parse a number of pixels."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 16:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 16, got {text!r}")
    return number
