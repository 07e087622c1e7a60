"""Odd files in raw data sets: those that converters refuse or correct are faults, those that they accept are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset_conversion.check import inventory
from dataset_conversion.check.description import Description
from dataset_conversion.check.finding import FAULT
from dataset_conversion.check.run import check_case
from tests.odd_files import nifti, pictures
from tests.odd_files.odd_file import OddFile

SOUND_VOLUMES = {
    "qfac-zero",
    "slope-nan",
    "slope-of-a-half",
    "offset-of-1024",
    "half-turn-rounded",
    "long-extension",
    "big-endian",
    "lengths-of-axes-that-are-not",
    "text-fields-of-any-bytes",
    "floats",
    "two-gzip-members",
    "rubbish-behind-gzip",
    "rubbish-behind-voxels",
    "sixty-four-bits",
    "doubled-with-slope",
    "noise-in-the-affine",
}
"""Names of odd volumes that all readers read alike."""
SOUND_PICTURES = {
    "palette",
    "transparent-colour",
    "planes-tiff",
    "tiled-lzw-tiff",
    "png-with-bytes-behind",
    "jpeg-called-png",
    "bmp-of-32-bits",
}
SOUND_MASKS = {"0-and-1", "1-bit", "floats"}
"""Names of pictures and masks whose values nnU-Net reads as intended. ``floats`` holds 0.0 and 1.0."""


def _is_faulty(folder: Path, odd: OddFile, file: Path, description: Description) -> bool:
    file.unlink()
    odd.make(file.with_name(file.name.removesuffix(description.ending) + odd.ending), np.random.default_rng(0))
    cases, findings = inventory.take(folder, description)
    for case in cases:
        findings += check_case(case, description, folder).findings if case.images else []
    return any(finding.level == FAULT for finding in findings)


def _folders(folder: Path) -> Path:
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir()
    return folder


@pytest.mark.parametrize("odd", nifti.FILES, ids=lambda odd: odd.name)
def test_odd_volumes(odd: OddFile, tmp_path: Path) -> None:
    values = {0: "background", 1: "liver", 2: "tumor"}
    description = Description(ending=".nii.gz", channels=1, values=values, training=None, files={})
    folder = _folders(tmp_path)
    files = {"image": folder / "imagesTr" / "case_0000.nii.gz", "label": folder / "labelsTr" / "case.nii.gz"}
    for role, file in files.items():
        nifti.sound(file, role)
    assert _is_faulty(tmp_path, odd, files[odd.role], description) == (odd.name not in SOUND_VOLUMES)


@pytest.mark.parametrize("odd", [*pictures.PICTURES, *pictures.MASKS], ids=lambda odd: f"{odd.role}-{odd.name}")
def test_odd_pictures_and_masks(odd: OddFile, tmp_path: Path) -> None:
    ending = odd.ending if odd.ending in (".png", ".tif", ".tiff", ".bmp") else ".png"
    values = {0: "background", 1: "object"}
    description = Description(ending=ending, channels=3, values=values, training=None, files={})
    image, mask = _folders(tmp_path) / "imagesTr" / f"case_0000{ending}", tmp_path / "labelsTr" / f"case{ending}"
    Image.fromarray(pictures.picture()).save(image)
    Image.fromarray(pictures.inside().astype(np.uint8)).save(mask)
    sound = SOUND_PICTURES if odd.role == "image" else SOUND_MASKS
    # A single TIFF of 16 bits is sound; beside others of 8 bits it is not.
    expected = odd.name not in sound and odd.name != "16-bit-colours-tiff"
    assert _is_faulty(tmp_path, odd, image if odd.role == "image" else mask, description) == expected
