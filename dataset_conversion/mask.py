"""Masks of one object, read as 0 and 1 however they are stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dataset_conversion.errors import Refused
from dataset_conversion.mask_scale import FLAT_SHARE, cut_mask, flat_share
from dataset_conversion.picture import decode, orientation_of, shrunk_size, turned
from dataset_conversion.source_file import SourceFile, open_source

Mask = NDArray[np.bool_]

_ALMOST_GREY = 0.1
_FEW_COLOURS = 64
_COARSEST = 16
"""How many times smaller one of picture and mask may be than the other, and the fewest pixels of its shorter side."""


@dataclass(kw_only=True)
class MaskFile:
    """A mask, and what was done to read it."""

    source: SourceFile
    inside: Mask
    orientation: int = 1
    """EXIF orientation, which is not applied."""
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.inside.shape[1], self.inside.shape[0]

    def turn(self) -> None:
        """Apply the EXIF orientation."""
        self.inside = turned(self.inside.astype(np.uint8), self.orientation) > 0


def read_mask(path: Path, *, any_colour: bool = False) -> MaskFile:
    """Read a mask; `mask_scale.cut_mask` decides which values are the object.

    Args:
        path: The file.
        any_colour: Whether everything that is not dark in a colour mask is the object. Otherwise a colour mask is
            refused, since its colours may stand for several structures.

    Raises:
        Refused: With the reason.
    """
    source = open_source(path)
    image = decode(source)
    orientation = orientation_of(image)
    notes: list[str] = []
    if image.mode == "F":
        raise Refused(f"{path.name} holds floating-point values; a mask has two values")
    if image.mode == "1":
        bits: NDArray[np.uint8] = np.asarray(image.convert("L"))
        notes = ["stored with 1 bit"]
        return MaskFile(source=source, inside=bits.astype(np.bool_), orientation=orientation, notes=notes)
    if image.mode in ("P", "PA", "CMYK", "YCbCr"):
        notes.append(f"stored as {image.mode}")
        _check_palette(image, path.name)
        image = image.convert("RGB")
    values = np.asarray(image)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha, values = values[..., -1], values[..., :-1]
        if values.min() == values.max() and alpha.min() != alpha.max():
            raise Refused(f"{path.name} has its shape in the transparency only; save it as a grey mask")
        notes.append("transparency dropped")
        values = values[..., 0] if values.shape[2] == 1 else values
    try:
        if values.ndim == 3:
            values = _one_channel(values, any_colour=any_colour)
            notes += ["colour mask, whatever is not dark is the object"] if any_colour else []
        if int(values.min()) < 0:
            raise Refused(f"it has negative values, down to {values.min()}; a mask has none")
        cut = cut_mask(values)
    except Refused as refusal:
        reason = str(refusal).removeprefix("it ")
        raise Refused(f"{path.name} {reason}") from refusal
    notes += [cut.note] if cut.note else []
    return MaskFile(source=source, inside=cut.inside, orientation=orientation, notes=notes)


def _check_palette(image: Image.Image, name: str) -> None:
    """Refuse a palette that paints several values alike, since it hides them."""
    if image.mode != "P":
        return
    used = np.unique(np.asarray(image))
    shown = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    if len(used) > 1 and len(shown) == 1:
        raise Refused(
            f"{name} has {len(used)} values ({', '.join(map(str, used[:4]))}), and its palette paints all of them in "
            f"one colour; save it as a grey mask"
        )


def _one_channel(values: NDArray[np.uint8], *, any_colour: bool) -> NDArray[np.uint8]:
    """Make a mask with three channels grey.

    Raises:
        Refused: If it has colours and ``any_colour`` is not set.
    """
    brightest = values.max(axis=2)
    spread = brightest - values.min(axis=2)
    # Channels differ a little after JPEG and careless tools.
    if int(spread.max()) <= _ALMOST_GREY * int(brightest.max()):
        return brightest
    colours = np.unique(values.reshape(-1, 3), axis=0)
    if any_colour:
        # Areas of a dark colour such as (64, 0, 0), which programs paint, are objects. Dark outlines are soft edges.
        dark = (brightest > 0) & (brightest <= 127)
        painted = len(colours) <= _FEW_COLOURS and flat_share(brightest, dark) > FLAT_SHARE
        return (brightest > (0 if painted else 127)).astype(np.uint8)
    shown = ", ".join(str(tuple(map(int, colour))) for colour in colours[:3])
    what = "--any-colour takes everything that is not dark as the object"
    doubt = "" if len(colours) == 2 else ", which may stand for several structures"
    raise Refused(
        f"it is a colour mask with {len(colours)} colours ({shown}{', ...' if len(colours) > 3 else ''}){doubt}; {what}"
    )


def fit_mask(mask: MaskFile, size: tuple[int, int], name: str) -> None:
    """Scale a mask to its picture's size if both have the same proportions, as with copies at half size.

    Raises:
        Refused: If the proportions differ.
    """
    if mask.size == size:
        return
    width, height = mask.size
    small, large = sorted([size, (width, height)])
    if max(large) > _COARSEST * max(small) or min(small) < _COARSEST:
        raise Refused(
            f"{name} is {width}x{height}, its picture {size[0]}x{size[1]}: one is too coarse for the other; provide "
            f"both in one size"
        )
    if abs(width * size[1] - height * size[0]) > max(*size, width, height):
        turned = "; it seems to be turned by 90 degrees" if (height, width) == size else ""
        raise Refused(f"{name} is {width}x{height}, its picture {size[0]}x{size[1]}: another shape{turned}")
    mask.notes.append(f"scaled from {width}x{height} to the picture's {size[0]}x{size[1]}")
    resized = Image.fromarray(mask.inside.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    mask.inside = np.asarray(resized) > 0


def shrink_mask(inside: Mask, longest: int) -> Mask:
    """Scale a mask down with its picture: a pixel is inside if more than half of its area was."""
    size = shrunk_size((inside.shape[1], inside.shape[0]), longest)
    if size == (inside.shape[1], inside.shape[0]):
        return inside
    area = Image.fromarray(inside.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    return np.asarray(area) > 127
