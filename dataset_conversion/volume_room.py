"""Estimate of the bytes that a conversion of volumes will write, from their headers."""

from __future__ import annotations

import zlib
from pathlib import Path

from dataset_conversion import nifti_header
from dataset_conversion.errors import Refused
from dataset_conversion.files_on_disk import size_of, why_unreadable
from dataset_conversion.model import ConversionPlan, ConversionSettings
from dataset_conversion.nifti_header import HeaderView

# Headers with long extensions are rare, so nothing beyond these bytes is read.
_BEGINNING = 1 << 16
# Compressed size as a part of the plain size. Labels of KiTS19 and LiTS have 0.2 to 1 %.
_IMAGE, _LABEL = 0.7, 0.02


def written_bytes(plan: ConversionPlan, settings: ConversionSettings) -> int:
    """Bytes of the labels, and of the images that cannot be linked as they are."""
    compressed = plan.file_ending.endswith(".gz")
    total = 0
    for case in plan.cases:
        total += _image_bytes(case.image, plan.file_ending)
        if case.label is not None:
            label = header_of(case.label)
            # One byte for each voxel.
            voxels = (label.size - label.offset) // int(label.header.get_data_dtype().itemsize) if label else 0
            total += int(voxels * _LABEL) if compressed else voxels
    return total


def header_of(path: Path) -> HeaderView | None:
    """Read a file's header from its first bytes; None if it cannot be read."""
    if why_unreadable(path):
        return None
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
        if beginning.startswith(b"\x1f\x8b"):
            beginning = zlib.decompressobj(31).decompress(beginning, _BEGINNING)
        header = nifti_header.parse(beginning[: nifti_header.LONGEST_HEADER], path.name)
        return nifti_header.view(beginning[: nifti_header.voxels_at(header)], path.name)
    except (OSError, zlib.error, Refused):
        return None


def _image_bytes(path: Path, ending: str) -> int:
    image = header_of(path)
    if image is None:
        return 0
    own_ending = ".nii.gz" if path.name.lower().endswith(".gz") else ".nii"
    if own_ending == ending and not image.notes and len(image.header.get_data_shape()) == 3:
        return 0
    # A damaged header may claim anything; deflate makes at most 1032 bytes from one.
    plain = min(image.size, 1040 * size_of(path))
    return int(plain * _IMAGE) if ending.endswith(".gz") else plain
