"""One colour picture with the mask of one object: what ISIC and Cosmos55k share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.encode import encode
from dataset_conversion.errors import Refused
from dataset_conversion.mask import MaskFile, fit_mask, read_mask, shrink_mask
from dataset_conversion.model import CaseRecord, FileRecord, PlannedCase
from dataset_conversion.picture import ColourPicture, read_picture, shrink, shrunk_size
from dataset_conversion.similarity import fingerprint
from dataset_conversion.staging import Workplace

_SIDES_TURN = 5
"""Lowest EXIF orientation that swaps width and height."""
_MOST_OF_THE_BORDER = 0.9


def convert_rgb(case: PlannedCase, record: CaseRecord, work: Workplace, *, with_fingerprint: bool = True) -> None:
    """Check picture and mask, bring both to one size, link or write them.

    Args:
        case: The case.
        record: Record that gets what was done.
        work: Workplace of the conversion.
        with_fingerprint: Whether near-identical pictures are searched for later.

    Raises:
        Refused: With the reason.
    """
    any_colour = bool(work.settings.options.get("any_colour"))
    picture_record = FileRecord(role="image", path=work.source_name(case.image), bytes=case.image.stat().st_size)
    record.files.append(picture_record)
    picture = read_picture(case.image)
    picture_record.sha256 = picture.source.sha256
    mask = None
    if case.label is not None:
        mask_record = FileRecord(role="label", path=work.source_name(case.label), bytes=case.label.stat().st_size)
        record.files.append(mask_record)
        mask = read_mask(case.label, any_colour=any_colour)
        mask_record.sha256 = mask.source.sha256
    _turn_upright(picture, mask)
    place_rgb(record, work, picture, mask, with_fingerprint=with_fingerprint)


def place_rgb(
    record: CaseRecord, work: Workplace, picture: ColourPicture, mask: MaskFile | None, *, with_fingerprint: bool = True
) -> None:
    """Bring an upright picture and its mask to one size, link or write them.

    Args:
        record: Record that already has the files, the picture's first, and gets what was done.
        work: Workplace of the conversion.
        picture: The picture; it is linked if its file is what would be written.
        mask: Its mask, None if it has none.
        with_fingerprint: Whether near-identical pictures are searched for later.

    Raises:
        Refused: If the mask has other proportions.
    """
    longest = work.settings.options.get("max_size")
    picture_record = record.files[0]
    if mask is not None:
        fit_mask(mask, picture.size, mask.source.path.name)
    if _is_flat(picture.pixels[::16, ::16]) and _is_flat(picture.pixels):
        record.warnings.append("picture has only one colour")
    if with_fingerprint:
        record.fingerprint = fingerprint(picture.pixels)
    picture_record.notes = picture.notes
    size = shrunk_size(picture.size, longest) if longest else picture.size
    record.size = list(size)
    relative, ending = work.image_path(record), work.settings.file_ending
    if size == picture.size and picture.usable_as(ending):
        picture_record.action = work.link(record, relative, picture.source.path)
    else:
        if size != picture.size:
            picture_record.notes.append(f"scaled down to at most {longest} pixels")
        pixels = shrink(picture.pixels, longest) if longest else picture.pixels
        work.write(record, relative, encode(pixels, ending))
        picture_record.action = f"written as {ending}"
    if mask is not None:
        inside = shrink_mask(mask.inside, longest) if longest else mask.inside
        count = int(np.count_nonzero(inside))
        record.voxels = {"0": int(inside.size) - count, "1": count}
        if count in (0, inside.size):
            record.warnings.append("mask is empty" if count == 0 else "mask fills the whole picture")
        elif _looks_inverted(mask.inside):
            record.warnings.append("mask covers the corners and nearly the whole border: is it inverted?")
        work.write(record, work.label_path(record), encode(inside.astype(np.uint8), ending))
        record.files[1].notes = mask.notes
        record.files[1].action = f"written as {ending} with 0 and 1"


def _is_flat(pixels: NDArray[np.uint8]) -> bool:
    return bool(pixels.min() == pixels.max())


def _looks_inverted(inside: NDArray[np.bool_]) -> bool:
    """Whether all corners and nearly the whole border belong to the object, and something inside does not."""
    border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    corners = inside[:: max(inside.shape[0] - 1, 1), :: max(inside.shape[1] - 1, 1)]
    return bool(corners.all() and border.mean() >= _MOST_OF_THE_BORDER and not inside.all())


def _turn_upright(picture: ColourPicture, mask: MaskFile | None) -> None:
    """Decide whether EXIF orientations apply: the shapes show whether the mask was drawn on the turned picture.

    Raises:
        Refused: If the shapes do not show it.
    """
    own, mask_own = picture.orientation, mask.orientation if mask is not None else 1
    if own == mask_own == 1:
        return
    if mask is None:
        picture.notes.append(f"EXIF orientation {own} not applied")
        picture.plain = False
        return
    if own == mask_own and mask.size == picture.size:
        picture.plain = False
        picture.notes.append(f"EXIF orientation {own} of picture and mask removed: both are stored in the same way")
        return
    width, height = picture.size
    turns_sides = max(own, mask_own) >= _SIDES_TURN and width != height
    if (own != 1 and mask_own != 1) or not turns_sides or mask.size not in ((width, height), (height, width)):
        which = picture.source.path.name if own != 1 else mask.source.path.name
        raise Refused(
            f"{which} has EXIF orientation {own if own != 1 else mask_own}, and nothing says whether "
            f"its mask was drawn before or after turning; apply or remove the orientation in both"
        )
    if own == 1:
        if mask.size == (height, width):
            mask.turn()
            mask.notes.append(f"turned by its EXIF orientation {mask_own}, as its picture was")
        else:
            mask.notes.append(f"EXIF orientation {mask_own} removed: the mask is stored as its picture is")
    elif mask.size == (height, width):
        picture.turn()
        picture.notes.append(f"turned by its EXIF orientation {own}, as its mask was")
    else:
        picture.plain = False
        picture.notes.append(f"EXIF orientation {own} removed: the mask was drawn on the stored pixels")
