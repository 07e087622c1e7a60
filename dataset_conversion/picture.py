"""Colour pictures: every picture of the downloads is read as 8-bit RGB, or refused."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dataset_conversion.errors import Refused
from dataset_conversion.picture_damage import damage_of, watched, what_it_is
from dataset_conversion.picture_depth import colour_depth, sixteen_bit_colours
from dataset_conversion.source_file import SourceFile, open_source

Pixels = NDArray[np.uint8]

_FORMATS = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF"}
_ORIENTATION = 0x0112
# The turn that undoes each EXIF orientation; 1 means upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Errors of Pillow's readers, each of which fails in its own way.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
)
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


@dataclass(kw_only=True)
class ColourPicture:
    """A picture as 8-bit RGB, (height, width, 3)."""

    source: SourceFile
    pixels: Pixels
    format: str
    orientation: int
    plain: bool
    """Whether it is stored as 8-bit RGB: in the right format the file itself can be used."""
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def usable_as(self, file_ending: str) -> bool:
        """Whether the source file is already what would be written."""
        return self.plain and self.format == _FORMATS[file_ending]

    def turn(self) -> None:
        """Apply the EXIF orientation."""
        self.pixels = turned(self.pixels, self.orientation)
        self.plain = False


def decode(source: SourceFile) -> Image.Image:
    """Decode a picture file to its end.

    Raises:
        Refused: If it is not a picture, holds several pictures, was cut off or is damaged.
    """
    name = source.path.name
    stream, check = watched(source.data)
    try:
        with warnings.catch_warnings():
            # Large pictures are read; those beyond twice Pillow's limit are refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(stream)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise Refused(f"{name} holds {frames} pictures; one is needed")
        check.begin()
        image.load()
    except UnidentifiedImageError as error:
        raise Refused(f"{name} is not a picture that can be read{what_it_is(source.data)}") from error
    except Image.DecompressionBombError as error:
        raise Refused(f"{name} has too many pixels ({error}); scale it down or cut it into parts") from error
    except _DAMAGED as error:
        raise Refused(f"{name} is damaged or cut off ({error}); download it again") from error
    damage = check.damage() or damage_of(source.data)
    if damage:
        raise Refused(f"{name} is damaged ({damage}); download it again")
    return image


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Turn pixels by an EXIF orientation."""
    return np.asarray(Image.fromarray(pixels).transpose(_TURNS[orientation]))


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of an image; 1 if it has none that is known."""
    orientation = image.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in _TURNS else 1


def read_picture(path: Path) -> ColourPicture:
    """Read a picture as 8-bit RGB.

    Raises:
        Refused: With the reason.
    """
    source = open_source(path)
    image = decode(source)
    orientation = orientation_of(image)
    mode, notes = image.mode, []
    format_name = image.format or ""
    depth = colour_depth(source.data, format_name)
    plain = mode == "RGB" and "transparency" not in image.info and depth.plain
    if mode == "RGB" and depth.bits == 16:
        image, note = _eight_bits(sixteen_bit_colours(source.data, format_name))
        notes.append(note)
    elif mode in _SIXTEEN_BIT:
        wide = np.asarray(image)
        brightest = int(wide.max())
        if int(wide.min()) < 0:
            raise Refused(f"{path.name} has negative values; a picture has none")
        grey = (wide.astype(np.float64) * (255.0 / max(brightest, 1)) + 0.5).astype(np.uint8)
        image = Image.fromarray(grey)
        notes.append(f"16-bit grey, scaled from 0..{brightest} to 0..255 and repeated to RGB")
    elif mode == "F":
        raise Refused(f"{path.name} holds floating-point pixels; nothing says which of them is black and which white")
    elif mode in ("L", "1"):
        notes.append("grey, repeated to RGB")
    elif mode == "RGB" and depth.channels != 3:
        notes.append(f"{depth.channels} channels, of which the first three are the colours")
    elif mode != "RGB" or "transparency" in image.info:
        notes.append(f"stored as {mode}, converted to RGB" + (_alpha_note(image) or ""))
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return ColourPicture(
        source=source,
        pixels=pixels,
        format=format_name,
        orientation=orientation,
        plain=plain,
        notes=notes,
    )


def _eight_bits(wide: NDArray[np.uint16]) -> tuple[Image.Image, str]:
    """Scale colours of 16 bits to 8 bits, by the brightest value of all channels, and say so."""
    brightest = int(wide.max())
    scaled = (wide.astype(np.float64) * (255.0 / max(brightest, 1)) + 0.5).astype(np.uint8)
    return Image.fromarray(scaled), f"16-bit colours, scaled from 0..{brightest} to 0..255"


def _alpha_note(image: Image.Image) -> str | None:
    """Note on dropped transparency; None without any."""
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return None
    alpha = np.asarray(image.convert("RGBA"))[..., 3]
    return "; transparency dropped" + ("" if alpha.min() == 255 else ", though some pixels were transparent")


def shrink(pixels: Pixels, longest: int) -> Pixels:
    """Scale a picture down until its longer side has at most ``longest`` pixels; smaller ones stay as they are."""
    size = shrunk_size((pixels.shape[1], pixels.shape[0]), longest)
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def shrunk_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Width and height after shrinking.

    Examples:
        >>> shrunk_size((4000, 3000), 1024), shrunk_size((600, 450), 1024)
        ((1024, 768), (600, 450))
    """
    factor = min(1.0, longest / max(size))
    return max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)
