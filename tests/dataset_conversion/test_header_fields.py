"""Every field of a NIfTI header with odd values: read alike by nibabel and SimpleITK afterwards, or refused."""

from __future__ import annotations

import itertools
import logging

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from dataset_conversion.engine import convert_case
from dataset_conversion.model import ConversionSettings, PlannedCase
from dataset_conversion.registry import load
from dataset_conversion.staging import Workplace

SHAPE = (7, 6, 5)
VOXELS = (np.arange(210).reshape(SHAPE) - 100).astype("<i2")
FLOATS = (0, -1, 1e-8, 1e30, np.nan, 352.5)
INTEGERS = (0, 1, 3, 8, 16, 512, 1007)
TEXTS = (b"", b"\xff\xfe", b"n+2", b"ni1")
KINDS = ("qform and sform", "sform", "qform", "neither")


def affine():
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("xyz", [10, -7, 160], degrees=True).as_matrix() @ np.diag([0.9, 0.8, 2.5])
    turned[:3, 3] = [-90, 30, -100]
    return turned


def good(kind):
    image = nibabel.Nifti1Image(VOXELS, affine())
    image.set_sform(affine(), 1 if "sform" in kind else 0)
    image.set_qform(affine(), 1 if "qform" in kind else 0)
    return image.to_bytes()


def spoilt(kind):
    """The file with one field changed, for every field and value."""
    for name, (field, place) in ((key, entry[:2]) for key, entry in nibabel.nifti1.header_dtype.fields.items()):
        # The other fields mean the same in each of these.
        if kind != KINDS[0] and not name.startswith(("pixdim", "qform", "sform", "qu", "qo", "srow", "xyzt")):
            continue
        values = {"f": FLOATS, "i": INTEGERS, "u": INTEGERS, "S": TEXTS}[field.base.kind]
        for index, value in itertools.product(range(int(np.prod(field.shape, dtype=int))), values):
            if field.base.kind in "iu" and value > np.iinfo(field.base).max:
                continue
            contents = bytearray(good(kind))
            start = place + index * field.base.itemsize
            contents[start : start + field.base.itemsize] = np.array([value], dtype=field.base).tobytes()
            yield f"{name}[{index}] = {value}", bytes(contents)


def read_alike(path):
    """Compare what nibabel and SimpleITK read from a file, and return nibabel's reading."""
    image = nibabel.load(path)
    other = SimpleITK.ReadImage(str(path))
    values = image.get_fdata()
    seen = SimpleITK.GetArrayFromImage(other).T
    np.testing.assert_allclose(values, seen, rtol=1e-5, atol=1e-3)
    placed = np.eye(4)
    placed[:3, :3] = np.reshape(other.GetDirection(), (3, 3)) * other.GetSpacing()
    placed[:3, 3] = other.GetOrigin()
    placed = np.diag([-1.0, -1, 1, 1]) @ placed
    corners = np.array(list(itertools.product(*[(0, length - 1) for length in values.shape]))).T
    apart = (image.affine - placed)[:3, :3] @ corners + (image.affine - placed)[:3, 3:]
    edges = np.linalg.norm(image.affine[:3, :3], axis=0)
    assert np.max(np.abs(apart)) <= 0.05 * edges.min()
    np.testing.assert_allclose(image.header.get_zooms(), edges, rtol=1e-3)
    return values, image.affine


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_read_alike_or_refused(tmp_path, kind):
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    task = load("lits").tasks[0]
    settings = ConversionSettings(task=task, split="folds", file_ending=".nii", link="copy")
    work = Workplace(root=tmp_path / "out", settings=settings, sources=(tmp_path,))
    work.root.mkdir()
    source = tmp_path / "test-volume-0.nii"
    outcomes = []
    for what, contents in spoilt(kind):
        source.write_bytes(contents)
        record = convert_case("lits", PlannedCase(id="case", image=source, part="test"), work)
        outcomes.append(record.status if record.status == "refused" else record.files[0].action)
        if record.status == "refused":
            assert record.reason, what
            continue
        try:
            values, placed = read_alike(work.root / "imagesTs/case_0000.nii")
            # The reading of nnU-Net's own reader, where that is right.
            if what.startswith(("vox_offset[0] = 0", "quatern_d[0] = -1")):
                continue
            meant = nibabel.Nifti1Image.from_bytes(contents)
            np.testing.assert_array_equal(values, meant.get_fdata().reshape(values.shape))
            np.testing.assert_allclose(placed, meant.affine, rtol=1e-3, atol=0.05)
        except (AssertionError, RuntimeError) as error:
            raise AssertionError(f"{what}, {record.files[0].action}, {record.files[0].notes}") from error
    # All three outcomes occur, so none of them is an excuse.
    assert set(outcomes) == {"copy", "refused", "written with a corrected header"}
