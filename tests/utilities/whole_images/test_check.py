"""Files as other programs write them are whole; the same files with an end missing are not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image

from nnunet_tricks.utilities.whole_images import check_whole

LABELS = (np.random.default_rng(0).random((7, 20, 30)) < 0.3).astype(np.uint8)


def itk(name: str, *, packed: bool, kind: type = np.uint8):
    def write(folder: Path) -> Path:
        sitk.WriteImage(sitk.GetImageFromArray(LABELS.astype(kind)), str(folder / name), packed)
        return folder / name

    return write


def itk_detached(name: str, data: str):
    def write(folder: Path) -> Path:
        itk(name, packed=data.endswith(("zraw", "gz")))(folder)
        return folder / data

    return write


def nifti(name: str, made: type = nibabel.Nifti1Image, order: str = "<"):
    def write(folder: Path) -> Path:
        image = made(LABELS.astype(f"{order}i2"), np.eye(4))
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"long " * 40))
        nibabel.save(image, folder / name)
        return folder / name

    return write


def nifti_in_two_members(folder: Path) -> Path:
    """As parallel compressors write it."""
    content = gzip.decompress(nifti("whole.nii.gz")(folder).read_bytes())
    (folder / "a.nii.gz").write_bytes(gzip.compress(content[:999]) + gzip.compress(content[999:]))
    return folder / "a.nii.gz"


def nifti_that_leaves_its_start_open(folder: Path) -> Path:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30, 20, 7))
    header.set_data_dtype(np.uint8)
    content = bytearray(header.binaryblock)
    struct.pack_into("<f", content, 108, 0.0)
    (folder / "a.nii").write_bytes(bytes(content) + bytes(4) + LABELS.tobytes())
    return folder / "a.nii"


def tiff(name: str, **settings):
    def write(folder: Path) -> Path:
        tifffile.imwrite(folder / name, LABELS, **settings)
        return folder / name

    return write


def picture(name: str, mode: str = "L"):
    def write(folder: Path) -> Path:
        Image.fromarray(LABELS[0] * 255).convert(mode).save(folder / name)
        return folder / name

    return write


WRITERS = {
    "nii.gz of ITK": itk("a.nii.gz", packed=True),
    "nii of ITK": itk("a.nii", packed=False),
    "nii of floats": itk("a.nii", packed=False, kind=np.float32),
    "nii.gz with an extension": nifti("a.nii.gz"),
    "nii of the other byte order": nifti("a.nii", order=">"),
    "NIfTI-2": nifti("a.nii", nibabel.Nifti2Image),
    "nii.gz in two members": nifti_in_two_members,
    "nii that leaves its start open": nifti_that_leaves_its_start_open,
    "nrrd": itk("a.nrrd", packed=False, kind=np.int16),
    "nrrd with gzip": itk("a.nrrd", packed=True),
    "mha": itk("a.mha", packed=False, kind=np.float64),
    "mha with zlib": itk("a.mha", packed=True),
    "gipl": itk("a.gipl", packed=False, kind=np.int16),
    "mhd": itk_detached("a.mhd", "a.raw"),
    "mhd with zlib": itk_detached("a.mhd", "a.zraw"),
    "nhdr": itk_detached("a.nhdr", "a.raw"),
    "nhdr with gzip": itk_detached("a.nhdr", "a.raw.gz"),
    "tif": tiff("a.tif"),
    "tif with zlib": tiff("a.tif", compression="zlib"),
    "tif page by page": tiff("a.tif", metadata=None, contiguous=False),
    "tif in tiles": tiff("a.tiff", tile=(16, 16), compression="zlib"),
    "tif in strips": tiff("a.tif", rowsperstrip=3),
    "large tif": tiff("a.tif", bigtiff=True),
    "tif of the other byte order": tiff("a.tif", byteorder=">"),
    "tif for ImageJ": tiff("a.tif", imagej=True),
    "png": picture("a.png"),
    "png with a palette": picture("a.png", "P"),
    "bmp": picture("a.bmp"),
}


def header_of(data: Path) -> Path:
    """The file that a reader is given."""
    beside = [data.parent / "a.mhd", data.parent / "a.nhdr"]
    return next((file for file in beside if file.is_file()), data)


@pytest.mark.parametrize("what", WRITERS)
def test_whole_files_are_whole_and_cut_ones_are_not(what: str, tmp_path: Path) -> None:
    data = WRITERS[what](tmp_path)
    content = data.read_bytes()
    check_whole(header_of(data))
    for left in (0.99, 0.9, 0.5, 0.2, 0.1):
        data.write_bytes(content[: int(left * len(content))])
        with pytest.raises(ValueError, match=r"cut off|damaged"):
            check_whole(header_of(data))
    data.write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty|cut off"):
        check_whole(header_of(data))


@pytest.mark.parametrize("what", ["nii.gz of ITK", "nrrd with gzip", "mha with zlib", "png"])
def test_what_has_a_check_sum_is_held_to_it(what: str, tmp_path: Path) -> None:
    data = WRITERS[what](tmp_path)
    content = data.read_bytes()
    for place in (0.5, 0.7, 0.9):
        changed = bytearray(content)
        changed[int(place * len(content))] ^= 0x10
        data.write_bytes(changed)
        with pytest.raises(ValueError, match=r"cut off|damaged"):
            check_whole(data)


def test_a_data_file_that_is_gone_is_named(tmp_path: Path) -> None:
    data = WRITERS["mhd"](tmp_path)
    data.unlink()
    with pytest.raises(ValueError, match=r"a\.raw is not there"):
        check_whole(tmp_path / "a.mhd")


def test_what_is_something_else_is_left_to_its_reader(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.tif", "a.png", "a.txt"):
        (tmp_path / name).write_text("nothing of the kind " * 100)
        check_whole(tmp_path / name)
