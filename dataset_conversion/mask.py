"""Masks of one object: whatever way they are stored, as 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dataset_conversion.errors import Refused
from dataset_conversion.picture import decode, shrunk_size
from dataset_conversion.source_file import Source, open_source

Mask = NDArray[np.bool_]


@dataclass(kw_only=True)
class MaskFile:
    """A mask and what was done to get it."""

    source: Source
    inside: Mask
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.inside.shape[1], self.inside.shape[0]


def read_mask(path: Path, *, any_colour: bool = False) -> MaskFile:
    """Read a mask.

    Grey masks are cut at half of their full scale: 127 of 255, or above 0 where the largest value is 1.

    Args:
        path: The file.
        any_colour: A colour mask counts wherever a channel is above 127; without this it is refused, since its colours
            may stand for several structures.

    Raises:
        Refused: With the reason.
    """
    source = open_source(path)
    image = decode(source)
    notes: list[str] = []
    if image.mode == "F":
        raise Refused(f"{path.name} holds floating-point values; a mask has two values")
    if image.mode == "1":
        bits: NDArray[np.uint8] = np.asarray(image.convert("L"))
        return MaskFile(source=source, inside=bits.astype(np.bool_), notes=["stored with 1 bit"])
    if image.mode in ("P", "PA", "CMYK", "YCbCr"):
        notes.append(f"stored as {image.mode}")
        image = image.convert("RGB")
    values = np.asarray(image)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha, values = values[..., -1], values[..., :-1]
        if values.min() == values.max() and alpha.min() != alpha.max():
            raise Refused(f"{path.name} has its shape in the transparency only; save it as a grey mask")
        notes.append("transparency dropped")
        values = values[..., 0] if values.shape[2] == 1 else values
    if values.ndim == 3:
        if bool((values[..., 0] == values[..., 1]).all() and (values[..., 0] == values[..., 2]).all()):
            values = values[..., 0]
        elif any_colour:
            notes.append("colour mask, inside wherever a channel is above 127")
            return MaskFile(source=source, inside=np.asarray(values.max(axis=2) > 127), notes=notes)
        else:
            colours = len(np.unique(values.reshape(-1, 3), axis=0))
            raise Refused(
                f"{path.name} is a colour mask with {colours} colours, which may stand for several structures; "
                f"--any-colour takes everything that is not dark as the object"
            )
    inside, grey = _cut(values)
    if grey:
        notes.append("grey edge pixels, cut at half scale")
    return MaskFile(source=source, inside=inside, notes=notes)


def _cut(values: NDArray[Any]) -> tuple[Mask, bool]:
    """Grey values at half scale, and whether there were any between the lowest and the highest."""
    numbers = values if values.dtype == np.uint8 else values.astype(np.int64)
    highest = int(numbers.max())
    if highest <= 1:
        return numbers > 0, False
    full = 255 if highest <= 255 else highest
    inside = numbers > full // 2
    # A count over two sorted-out values is cheaper than np.unique.
    return inside, bool(np.count_nonzero(numbers) != np.count_nonzero(numbers == highest)) or highest != full


def fit_mask(mask: MaskFile, size: tuple[int, int], name: str) -> None:
    """Bring a mask to its picture's size where both have one shape, as copies at half size have.

    Raises:
        Refused: If the shapes differ.
    """
    if mask.size == size:
        return
    width, height = mask.size
    if abs(width * size[1] - height * size[0]) > max(*size, width, height):
        turned = "; it seems to be turned by 90 degrees" if (height, width) == size else ""
        raise Refused(f"{name} is {width}x{height}, its picture {size[0]}x{size[1]}: another shape{turned}")
    mask.notes.append(f"scaled from {width}x{height} to the picture's {size[0]}x{size[1]}")
    resized = Image.fromarray(mask.inside.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    mask.inside = np.asarray(resized) > 0


def shrink_mask(inside: Mask, longest: int) -> Mask:
    """Scale a mask down together with its picture: a pixel is inside if more than half of its area was."""
    size = shrunk_size((inside.shape[1], inside.shape[0]), longest)
    if size == (inside.shape[1], inside.shape[0]):
        return inside
    area = Image.fromarray(inside.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    return np.asarray(area) > 127
