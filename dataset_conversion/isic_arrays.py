"""ISIC copies that were packed into arrays: ``data_train.npy`` with ``mask_train.npy``, and the same for val and test.

Code that trains on 256 x 256 pixels leaves such files behind. A row is a picture; ISIC numbers are lost, so lesions
cannot be looked up, and the parts are those of whoever made the arrays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.find import PARTS, Found, Pair, orphan, pair, stem_of, walk
from dataset_conversion.model import TEST, TRAIN, Case, Record, Unused

NOTE = (
    "made of arrays: pictures are called by their row, ISIC numbers are lost, and train, val and test are those of "
    "whoever made the arrays, not the official ones"
)


def plan_arrays(sources: Sequence[Path]) -> tuple[list[Case], list[Unused]]:
    """One case for each row of the arrays."""
    pairs, unused = pair(walk(sources, (".npy",)), _key)
    cases: list[Case] = []
    for one in pairs:
        if one.image is None or one.label is None:
            found = one.image or one.label
            if found is not None:
                unused.append(orphan(one.key, found, "label" if one.image else "image"))
            continue
        reason = _mismatch(one)
        if reason:
            unused.append(Unused(id=one.key, path=one.image.relative, status="refused", reason=reason))
        else:
            cases += _rows(one)
    return cases, unused


def convert_row(case: Case, record: Record, work: Any) -> None:
    """Write one row; see `rgb.place_rgb`.

    Raises:
        Refused: With the reason.
    """
    import numpy as np

    from dataset_conversion.array_rows import read_row, row_record
    from dataset_conversion.errors import Refused
    from dataset_conversion.mask import MaskFile
    from dataset_conversion.picture import Picture
    from dataset_conversion.rgb import place_rgb

    picture, source = read_row(case.image, case.index)
    mask, mask_source = read_row(case.label or case.image, case.index)
    record.files += [row_record("image", source), row_record("label", mask_source)]
    for values, name in ((picture, source.path.name), (mask, mask_source.path.name)):
        low, high = values.min(), values.max()
        if not (low >= 0 and high <= 255):
            raise Refused(f"{name} has values from {low} to {high}; pictures and masks have 0 to 1 or 0 to 255")
    notes = []
    if picture.dtype != np.uint8:
        factor = 255 if picture.max() <= 1 else 1
        notes.append(f"stored as {picture.dtype} from 0 to {'1' if factor == 255 else '255'}, written with 8 bits")
        picture = np.rint(picture * float(factor)).astype(np.uint8)
    highest = mask.max()
    inside = mask > (127 if highest > 1 else 0.5 if mask.dtype.kind == "f" else 0)
    grey = not np.isin(mask, (0, 1 if highest <= 1 else 255)).all()
    mask_notes = ["grey edge pixels, cut at half scale"] if grey else []
    place_rgb(
        record,
        work,
        Picture(source=source, pixels=picture, format="", orientation=1, plain=False, notes=notes),
        MaskFile(source=mask_source, inside=np.asarray(inside).reshape(picture.shape[:2]), notes=mask_notes),
    )


def _key(found: Found) -> tuple[str, str] | None:
    """Part and role."""
    match = re.fullmatch(r"(data|images?|masks?)_([a-z]+)", stem_of(found.path.name).lower())
    if match is None or match[2] not in PARTS:
        return None
    return PARTS[match[2]], "label" if match[1].startswith("mask") else "image"


def _mismatch(one: Pair) -> str:
    """Why two arrays do not belong together; empty if they do."""
    from dataset_conversion.array_rows import open_array

    if one.image is None or one.label is None:
        return ""
    pictures, masks = open_array(one.image.path), open_array(one.label.path)
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype.kind not in "uif":
        return f"should be (n, height, width, 3) numbers, is {pictures.shape} {pictures.dtype}"
    if masks.shape not in (pictures.shape[:3], (*pictures.shape[:3], 1)) or masks.dtype.kind not in "buif":
        name = one.label.path.name
        return f"{name} should be {pictures.shape[:3]} numbers like its pictures, is {masks.shape} {masks.dtype}"
    return ""


def _rows(one: Pair) -> list[Case]:
    from dataset_conversion.array_rows import open_array

    if one.image is None or one.label is None:
        return []
    return [
        Case(
            id=f"isic2018_{one.key}_{index:05d}",
            image=one.image.path,
            label=one.label.path,
            part=TEST if one.key == "test" else TRAIN,
            fold_part=one.key,
            modality="dermoscopy",
            structure="skin lesion",
            index=index,
        )
        for index in range(len(open_array(one.image.path)))
    ]
