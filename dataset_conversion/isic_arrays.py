"""Copies of ISIC as arrays: ``data_train.npy`` with ``mask_train.npy``, and the same for val and test.

Code that trains on 256 x 256 pixels leaves such files behind. A row is a picture. ISIC numbers are lost, so lesions
cannot be looked up, and the author of the arrays chose the parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.errors import ConversionError
from dataset_conversion.find import PARTS, FilePair, FoundFile, of_refused, orphan, pair, stem_of, walk
from dataset_conversion.model import TEST, TRAIN, CaseRecord, PlannedCase, Unused
from dataset_conversion.staging import Workplace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataset_conversion.mask import MaskFile
    from dataset_conversion.picture import ColourPicture
    from dataset_conversion.source_file import SourceFile

NOTE = (
    "made from arrays: pictures are named by their row, ISIC numbers are lost, and train, val and test are those of "
    "the arrays, not the official ones"
)


def plan_arrays(sources: Sequence[Path]) -> tuple[list[PlannedCase], list[Unused]]:
    """Plan one case for each row of the arrays."""
    pairs, unused = pair(walk(sources, (".npy",)), _key)
    cases: list[PlannedCase] = []
    for arrays in pairs:
        if arrays.image is None or arrays.label is None:
            file = arrays.image or arrays.label
            if file is not None:
                unused.append(orphan(arrays.key, file, "label" if arrays.image else "image"))
            continue
        reason = _mismatch(arrays)
        if reason:
            unused.append(Unused(id=arrays.key, path=arrays.image.relative, status="refused", reason=reason))
            unused.append(of_refused(arrays.key, arrays.label))
        else:
            cases += _rows(arrays)
    return cases, unused


def convert_row(case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
    """Write one row, see `rgb.place_rgb`.

    Raises:
        Refused: With the reason.
    """
    from dataset_conversion.array_rows import highest_value, read_row, row_record
    from dataset_conversion.rgb import place_rgb

    paths = [path for path in (case.image, case.label) if path is not None]
    rows = [read_row(path, case.index) for path in paths]
    record.files += [row_record(role, source) for role, (_, source) in zip(("image", "label"), rows, strict=True)]
    for values, source in rows:
        _check_range(values, source)
    # The meaning of 1 shows in the whole array only: a dark picture, or an empty mask, never has large values.
    brightest, highest = (highest_value(path, 255) for path in paths)
    place_rgb(record, work, _picture(*rows[0], brightest), _mask(*rows[1], highest))


def _check_range(values: NDArray[Any], source: SourceFile) -> None:
    from dataset_conversion.errors import Refused

    low, high = values.min(), values.max()
    # In this form NaN is out of range, too.
    if not (low >= 0 and high <= 255):
        name = source.path.name
        raise Refused(f"{name} has values from {low} to {high}; pictures and masks have 0 to 1 or 0 to 255")


def _picture(pixels: NDArray[Any], source: SourceFile, brightest: float) -> ColourPicture:
    """A picture: bytes as they are, other numbers scaled from 0 to 1 or 0 to 255, by the range of the whole array."""
    import numpy as np

    from dataset_conversion.picture import ColourPicture

    notes = []
    if pixels.dtype != np.uint8:
        full = 1 if brightest <= 1 else 255
        notes.append(f"stored as {pixels.dtype} from 0 to {full}, written with 8 bits")
        pixels = np.rint(pixels * (255.0 / full)).astype(np.uint8)
    return ColourPicture(source=source, pixels=pixels, format="", orientation=1, plain=False, notes=notes)


def _mask(values: NDArray[Any], source: SourceFile, highest: float) -> MaskFile:
    """A mask, see `mask_scale.cut_mask`; the object has the highest value of the whole array."""
    import numpy as np

    from dataset_conversion.errors import Refused
    from dataset_conversion.mask import MaskFile
    from dataset_conversion.mask_scale import cut_mask

    grey = values.reshape(values.shape[:2])
    try:
        cut = cut_mask(grey.astype(np.uint8) if grey.dtype.kind == "b" else grey, highest=max(highest, 1))
    except Refused as refusal:
        raise Refused(f"{source.path.name} {str(refusal).removeprefix('it ')}") from refusal
    return MaskFile(source=source, inside=cut.inside, notes=[cut.note] if cut.note else [])


def _key(file: FoundFile) -> tuple[str, str] | None:
    """Part and role of a file."""
    match = re.fullmatch(r"(data|images?|masks?)_([a-z]+)", stem_of(file.path.name).lower())
    if match is None or match[2] not in PARTS:
        return None
    return PARTS[match[2]], "label" if match[1].startswith("mask") else "image"


def _mismatch(arrays: FilePair) -> str:
    """Why two arrays do not belong together; empty if they do."""
    from dataset_conversion.array_rows import open_array

    if arrays.image is None or arrays.label is None:
        return ""
    try:
        pictures, masks = open_array(arrays.image.path), open_array(arrays.label.path)
    except ConversionError as error:
        return str(error)
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype.kind not in "uif":
        return f"should be (n, height, width, 3) numbers, is {pictures.shape} {pictures.dtype}"
    if masks.shape not in (pictures.shape[:3], (*pictures.shape[:3], 1)) or masks.dtype.kind not in "buif":
        name = arrays.label.path.name
        return f"{name} should be {pictures.shape[:3]} numbers like its pictures, is {masks.shape} {masks.dtype}"
    return ""


def _rows(arrays: FilePair) -> list[PlannedCase]:
    from dataset_conversion.array_rows import open_array

    if arrays.image is None or arrays.label is None:
        return []
    return [
        PlannedCase(
            id=f"isic2018_{arrays.key}_{index:05d}",
            image=arrays.image.path,
            label=arrays.label.path,
            part=TEST if arrays.key == "test" else TRAIN,
            fold_part=arrays.key,
            modality="dermoscopy",
            structure="skin lesion",
            index=index,
        )
        for index in range(len(open_array(arrays.image.path)))
    ]
