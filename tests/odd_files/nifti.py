"""NIfTI files that are odd in one way each, beside a sound partner. `IMAGE` and `LABEL` are the right content."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from tests.odd_files.odd_file import OddFile

SHAPE = (12, 11, 10)
AFFINE = np.array([[-1.5, 0, 0, 40.0], [0, -1.5, 0, 30.0], [0, 0, 3.0, -100.0], [0, 0, 0, 1]])

Generator = np.random.Generator


def _meant() -> tuple[np.ndarray, np.ndarray]:
    """A body of 0 HU with a liver of 100 HU and a tumor of 60 HU; no flip or turn leaves it as it is."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:8, 3:9, 2:7] = 1
    labels[3:5, 4:6, 3:5] = 2
    values = np.full(SHAPE, -1000, dtype=np.int16)
    values[1:-1, 1:-1, 1:-1] = 0
    values[labels == 1] = 100
    values[labels == 2] = 60
    return values + (np.indices(SHAPE).sum(axis=0) % 7).astype(np.int16), labels


IMAGE, LABEL = _meant()


def as_bytes(voxels: np.ndarray, affine: np.ndarray = AFFINE, **fields: Any) -> bytes:
    """A NIfTI-1 file with qform and sform; fields of its header are set last, index by index where they have many."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    contents = image.to_bytes()
    header = np.ndarray((), dtype=nibabel.nifti1.header_dtype, buffer=bytearray(contents[:348]))
    for name, value in fields.items():
        header[name] = value
    return header.tobytes() + contents[348:]


def save(path: Path, contents: bytes) -> None:
    """Write under a gzip name or a plain one."""
    path.write_bytes(gzip.compress(contents, 1) if path.name.endswith(".gz") else contents)


def sound(path: Path, role: str) -> None:
    """Write the sound image or label."""
    save(path, as_bytes(IMAGE if role == "image" else LABEL))


def _image(**fields: Any) -> Callable[[Path, Generator], None]:
    return lambda path, _: save(path, as_bytes(IMAGE, **fields))


def _label(**fields: Any) -> Callable[[Path, Generator], None]:
    return lambda path, _: save(path, as_bytes(LABEL, **fields))


def _voxels(voxels: np.ndarray, affine: np.ndarray = AFFINE, **fields: Any) -> Callable[[Path, Generator], None]:
    return lambda path, _: save(path, as_bytes(voxels, affine, **fields))


def _raw(contents: bytes) -> Callable[[Path, Generator], None]:
    return lambda path, _: path.write_bytes(contents) and None


def _packed(contents: bytes) -> Callable[[Path, Generator], None]:
    return _raw(gzip.compress(contents))


def _scaled(factor: float) -> dict[str, Any]:
    """All lengths of the header in another unit."""
    rows = AFFINE[:3] * factor
    return {
        "pixdim": [1, 1.5 * factor, 1.5 * factor, 3 * factor, 0, 0, 0, 0],
        "srow_x": rows[0],
        "srow_y": rows[1],
        "srow_z": rows[2],
        "qoffset_x": rows[0, 3],
        "qoffset_y": rows[1, 3],
        "qoffset_z": rows[2, 3],
    }


def _extended(chunk: bytes, stated: int) -> bytes:
    """A file with something between header and voxels."""
    contents = as_bytes(IMAGE, vox_offset=352 + len(chunk))
    return contents[:348] + b"\1\0\0\0" + np.int32([stated, 6]).tobytes() + chunk[8:] + contents[352:]


def _quaternion(length: float, sform: int) -> Callable[[Path, Generator], None]:
    """A half turn about z, as AFFINE has it, by a quaternion of another length than 1."""
    return _image(quatern_b=0, quatern_c=0, quatern_d=length, sform_code=sform)


def _big_endian(path: Path, _: Generator) -> None:
    image = nibabel.Nifti1Image(IMAGE.astype(">i2"), AFFINE, nibabel.Nifti1Header(endianness=">"))
    save(path, image.to_bytes())


def _nifti2(path: Path, _: Generator) -> None:
    save(path, nibabel.Nifti2Image(IMAGE, AFFINE).to_bytes())


def _archive(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("volume.nii", as_bytes(IMAGE))
    else:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            entry = tarfile.TarInfo("volume.nii")
            entry.size = len(as_bytes(IMAGE))
            tar.addfile(entry, io.BytesIO(as_bytes(IMAGE)))
    return stream.getvalue()


def _socket(path: Path, _: Generator) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        # Names of sockets are short: from within the folder.
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)
            server.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)


def _moved(axes: tuple[int, int, int], flips: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """The label with its axes in another order, and its true affine."""
    moved = np.flip(LABEL, flips).transpose(axes)
    back = np.eye(4)
    for flipped in flips:
        back[flipped, flipped], back[flipped, 3] = -1, SHAPE[flipped] - 1
    order = np.zeros((4, 4))
    order[3, 3] = 1
    for new, old in enumerate(axes):
        order[old, new] = 1
    return np.ascontiguousarray(moved), AFFINE @ back @ order


def _shifted(millimetres: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += millimetres
    return affine


def _sheared() -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 1] = 0.3
    return affine


def _qform_only(affine: np.ndarray, qform: np.ndarray) -> Callable[[Path, Generator], None]:
    """A label whose two forms disagree."""

    def make(path: Path, _: Generator) -> None:
        image = nibabel.Nifti1Image(LABEL, affine)
        image.set_sform(affine, 1)
        image.set_qform(qform, 1)
        image.header["pixdim"][1:4] = [1.5, 1.5, 3]
        save(path, image.to_bytes())

    return make


_SPOTTED = np.where(LABEL == 2, np.nan, IMAGE.astype(np.float32))
_SOUND = gzip.compress(as_bytes(IMAGE))
_UNIT = np.eye(4)

_IMAGES = (
    ("negative-edges", _image(pixdim=[-1, -1.5, 1.5, 3, 0, 0, 0, 0]), "pixdim was"),
    ("qfac-zero", _image(pixdim=[0, 1.5, 1.5, 3, 0, 0, 0, 0]), ""),
    ("voxels-at-byte-zero", _image(vox_offset=0), "vox_offset was 0"),
    ("voxels-at-half-a-byte", _image(vox_offset=352.5), "vox_offset was 352.5"),
    ("metres-said-millimetres-meant", _image(xyzt_units=1), "metres: the numbers are in mm"),
    ("metres-meant", _image(**_scaled(0.001), xyzt_units=1), "metres: converted to mm"),
    ("micrometres-meant", _image(**_scaled(1000), xyzt_units=3), "micrometres: converted to mm"),
    ("unit-undefined", _image(xyzt_units=5), "not defined"),
    ("qform-elsewhere", _image(qoffset_x=90), "disagreed"),
    ("qform-turned", _image(quatern_b=0.5, quatern_c=0.5, quatern_d=0.5), "disagreed"),
    ("slope-zero-with-intercept", _image(scl_slope=0, scl_inter=5), "no scaling"),
    ("slope-nan", _image(scl_slope=np.nan, scl_inter=0), ""),
    ("slope-infinite", _image(scl_slope=np.inf), "no scaling"),
    ("slope-of-a-half", _voxels(IMAGE * 2, scl_slope=0.5), ""),
    ("offset-of-1024", _voxels((IMAGE + 1024).astype(np.uint16), scl_slope=1, scl_inter=-1024), ""),
    ("sform-code-undefined", _image(sform_code=9), "sform_code 9"),
    ("quaternion-too-long", _quaternion(1.0001, 0), "too long"),
    ("quaternion-no-rotation-beside-sform", _quaternion(7, 1), "not a rotation"),
    ("half-turn-rounded", _quaternion(float(np.float32(1 - 4e-8)), 0), ""),
    ("long-extension", lambda path, _: save(path, _extended(b"label names " * 400, 4800)), ""),
    ("extension-beyond-its-end", lambda path, _: save(path, _extended(b"x" * 160, 4800)), "extensions"),
    ("extension-of-odd-size", lambda path, _: save(path, _extended(b"x" * 160, 100)), "extensions"),
    ("extension-of-no-size", lambda path, _: save(path, _extended(b"x" * 160, 0)), "extensions"),
    ("bits-of-another-type", _image(bitpix=8), "bitpix"),
    ("several-values-each-by-intent", _image(intent_code=1007), "intent_code"),
    ("big-endian", _big_endian, ""),
    ("nifti-2", _nifti2, "NIfTI-2"),
    ("trailing-axes-of-one", _voxels(IMAGE[..., None, None]), "trailing axes of length 1"),
    ("lengths-of-axes-that-are-not", _image(dim=[3, *SHAPE, 99, -5, 0, 7]), ""),
    ("edges-rounded", _image(pixdim=[1, 1.48, 1.5, 3, 0, 0, 0, 0]), "did not fit the affine"),
    ("text-fields-of-any-bytes", _image(descrip=b"\xff\xfe\x80", aux_file=b"\xe9\xe8"), ""),
    ("floats", _voxels(IMAGE.astype(np.float64)), ""),
    ("two-gzip-members", _raw(gzip.compress(as_bytes(IMAGE)[:999]) + gzip.compress(as_bytes(IMAGE)[999:])), ""),
    ("rubbish-behind-gzip", _raw(_SOUND + b"rubbish" * 9), ""),
    ("rubbish-behind-voxels", lambda path, _: save(path, as_bytes(IMAGE) + b"rubbish" * 9), ""),
    ("plain-under-a-gzip-name", _raw(as_bytes(IMAGE)), "its contents do not"),
)
_REFUSED_IMAGES = (
    ("quaternion-no-rotation-alone", _quaternion(7, 0), "not a rotation"),
    ("unit-that-fits-neither-way", _image(**_scaled(0.03), xyzt_units=1), "xyzt_units"),
    ("voxels-in-another-file", _image(magic=b"ni1"), "another file"),
    ("analyze", _image(magic=b""), "no readable NIfTI header"),
    ("web-page", _raw(b"\n<!DOCTYPE html><html>Quota exceeded</html>"), "web page"),
    ("web-page-in-gzip", _packed(b"<html>login</html>"), "web page"),
    ("error-in-json", _raw(b'{"message": "not found"}'), "JSON"),
    ("zip", _raw(_archive("zip")), "zip archive"),
    ("bzip2", _raw(bz2.compress(as_bytes(IMAGE))), "bzip2"),
    ("tar-in-gzip", _packed(_archive("tar")), "tar archive"),
    ("gzip-in-gzip", _packed(_SOUND), "gzip file inside a gzip file"),
    ("dicom", _raw(b"\0" * 128 + b"DICM" + b"\0" * 400), "DICOM"),
    ("nrrd", _raw(b"NRRD0004\n" + b"x" * 500), "NRRD"),
    ("numpy", _raw(b"\x93NUMPY" + b"x" * 500), "NumPy"),
    ("lfs-pointer", _raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "git lfs pull"),
    ("annex-pointer", _raw(b"/annex/objects/SHA256E-s9--0.nii.gz\n"), "datalad get"),
    ("annex-link", lambda path, _: path.symlink_to("../.git/annex/objects/a/b/SHA256E-s9--0"), "datalad get"),
    ("dangling-link", lambda path, _: path.symlink_to("/nowhere/volume.nii.gz"), "does not exist"),
    ("link-to-itself", lambda path, _: path.symlink_to(path), "does not exist"),
    ("pipe", lambda path, _: os.mkfifo(path), "pipe"),
    ("socket", _socket, "socket"),
    ("device", lambda path, _: path.symlink_to("/dev/zero"), "device"),
    ("failing-disk", lambda path, _: path.symlink_to("/proc/self/mem"), "Input/output error"),
    ("empty", _raw(b""), "is empty"),
    ("four-bytes", _packed(b"\x5c\x01\0\0"), "too few for a header"),
    ("one-byte-less-than-a-header", _packed(as_bytes(IMAGE)[:347]), "too few for a header"),
    ("header-alone", _packed(as_bytes(IMAGE)[:348]), "cut off"),
    ("huge-claim", _image(dim=[3, 32000, 32000, 32000, 1, 1, 1, 1]), "cut off"),
    ("gzip-cut", _raw(_SOUND[: len(_SOUND) // 2]), "cut off"),
    ("gzip-checksum", _raw(_SOUND[:-8] + b"\0\0\0\0" + _SOUND[-4:]), "damaged"),
    ("nan", _voxels(_SPOTTED), "NaN or infinite"),
    ("one-value", _voxels(np.full(SHAPE, -1000, np.int16)), "in every voxel"),
    ("time-series", _voxels(np.stack([IMAGE] * 2, -1)), "not three dimensions"),
    ("picture", _voxels(IMAGE[:, :, 0]), "not three dimensions"),
    ("axis-of-nothing", _image(dim=[3, 12, 0, 10, 1, 1, 1, 1]), "not three dimensions"),
    ("axis-of-less-than-nothing", _image(dim=[3, 12, -11, 10, 1, 1, 1, 1]), "not three dimensions"),
    ("colours", _image(datatype=128, bitpix=24), "plain number"),
    ("complex", _image(datatype=32, bitpix=64), "plain number"),
    ("type-undefined", _image(datatype=77), "no readable NIfTI header"),
    ("beyond-32-bit-floats", _voxels(np.where(LABEL == 2, 1e300, IMAGE)), "beyond"),
    ("scaled-beyond-32-bit-floats", _image(scl_slope=1e38), "beyond"),
    ("sheared", _voxels(IMAGE, _sheared(), qform_code=0), "sheared axes"),
    ("flat-affine", _image(srow_x=0, qform_code=0), "not invertible"),
    ("place-nan", _image(srow_x=np.nan, qform_code=0), "not finite"),
    ("beyond-all-measure", _image(srow_x=[-1.5, 0, 0, 1e30], qform_code=0), "not plausible"),
)
_LABELS = (
    ("no-orientation", _label(qform_code=0, sform_code=0), "no orientation"),
    ("no-orientation-and-edges-of-one", _voxels(LABEL, _UNIT, qform_code=0, sform_code=0), "no orientation"),
    ("unit-matrix", _voxels(LABEL, _UNIT), "no real geometry"),
    ("unit-matrix-as-simpleitk-writes-it", _voxels(LABEL, np.diag([-1.0, -1, 1, 1])), "no real geometry"),
    ("axes-z-y-x", _voxels(*_moved((2, 1, 0))), "another voxel order"),
    ("axes-flipped", _voxels(*_moved((0, 1, 2), (0, 2))), "another voxel order"),
    ("axes-turned-and-flipped", _voxels(*_moved((1, 2, 0), (1,))), "another voxel order"),
    ("qform-right-sform-unit", _qform_only(_UNIT, AFFINE), "the qform fits"),
    ("sform-right-qform-unit", _qform_only(AFFINE, _UNIT), "the sform fits"),
    ("sform-right-qform-elsewhere", _qform_only(AFFINE, _shifted(9)), "the sform fits"),
    ("metres-meant-on-the-label", _label(**_scaled(0.001), xyzt_units=1), "converted to mm"),
    ("voxels-at-byte-zero-on-the-label", _label(vox_offset=0), "vox_offset was 0"),
    ("slope-zero-on-the-label", _label(scl_slope=0, scl_inter=7), "no scaling"),
    ("floats-with-noise", _voxels(LABEL + 1e-5), "rounded"),
    ("sixty-four-bits", lambda path, _: save(path, as_bytes(LABEL.astype(np.int32))), ""),
    ("doubled-with-slope", _voxels(LABEL * np.uint8(2), scl_slope=0.5), ""),
    ("noise-in-the-affine", _voxels(LABEL, AFFINE + 1e-4), ""),
    ("long-quaternion-on-the-label", _label(quatern_b=0, quatern_c=0, quatern_d=1.0001, sform_code=0), "too long"),
)
_REFUSED_LABELS = (
    ("no-orientation-and-other-edges", _label(qform_code=0, sform_code=0, pixdim=[1, 3, 3, 1, 0, 0, 0, 0]), "edges"),
    ("no-orientation-and-other-shape", _voxels(LABEL[:-1], qform_code=0, sform_code=0), "nothing says how"),
    ("forms-that-both-miss", _qform_only(_shifted(30), _shifted(9)), "neither fits"),
    ("one-voxel-aside", _voxels(LABEL, _shifted(1.5)), "different places"),
    ("unit-matrix-and-other-shape", _voxels(LABEL[:-1], _UNIT), "nothing says how"),
    ("other-shape", _voxels(LABEL[:-1]), "not on one grid"),
    ("between-whole-numbers", _voxels(LABEL * 0.5), "between whole numbers"),
    ("negative", _voxels(-LABEL.astype(np.int16)), "an image, not a label"),
    ("nan-on-the-label", _voxels(np.where(LABEL == 2, np.nan, LABEL)), "NaN or infinite"),
    ("intercept-nan", _label(scl_slope=1, scl_inter=np.nan), "no readable NIfTI header"),
    ("cyst-or-other", _voxels(LABEL + np.uint8(1)), "holds the value(s) 3"),
    ("white", _voxels((LABEL > 0).astype(np.uint8) * np.uint8(255)), "only 0 and 255"),
    ("the-image-itself", _voxels(IMAGE), "an image, not a label"),
    ("beyond-a-byte", _voxels(np.where(LABEL == 2, np.int16(300), LABEL.astype(np.int16))), "an image, not a label"),
)


def _listed() -> list[OddFile]:
    lists = (
        ("image", "converted", _IMAGES),
        ("image", "refused", _REFUSED_IMAGES),
        ("label", "converted", _LABELS),
        ("label", "refused", _REFUSED_LABELS),
    )
    return [
        OddFile(name=name, role=role, make=make, outcome=outcome, says=says)
        for role, outcome, files in lists
        for name, make, says in files
    ]


FILES = _listed()
