"""Options of the data sets of pictures. Standard library only."""

from __future__ import annotations

import argparse

from dataset_conversion.model import Plan, Settings

ENDINGS = (".png", ".bmp", ".tif")
CHANNELS = {"0": "R", "1": "G", "2": "B"}
READER = "NaturalImage2DIO"

# Bytes written for each byte of JPEG: measured on dermoscopy pictures at quality 90 to 95.
_GROWTH = {".png": 6, ".tif": 7, ".bmp": 12}


def add_max_size(parser: argparse.ArgumentParser) -> None:
    """``--max-size``."""
    what = "scale larger pictures down so that their longer side has N pixels (default: full size)"
    parser.add_argument("--max-size", type=_positive, metavar="N", help=what)


def add_any_colour(parser: argparse.ArgumentParser) -> None:
    """``--any-colour``."""
    what = "in a colour mask, whatever is not dark is the object (default: such a mask is refused)"
    parser.add_argument("--any-colour", action="store_true", help=what)


def written_bytes(plan: Plan, settings: Settings) -> int:
    """How much will be written, roughly."""
    growth = _GROWTH[settings.file_ending]
    jpeg = (".jpg", ".jpeg")
    images = {case.image for case in plan.cases}
    return sum(file.stat().st_size * (growth if file.suffix.lower() in jpeg else 2) for file in images)


def _positive(text: str) -> int:
    """A number of pixels."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 16:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 16, got {text!r}")
    return number
