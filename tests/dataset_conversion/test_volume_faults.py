"""Every known fault of a NIfTI file, made from a good one: converted correctly or refused with the reason."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK

SHAPE = (20, 18, 16)
AFFINE = np.array([[-1.5, 0, 0, 40.0], [0, -1.5, 0, 30.0], [0, 0, 3.0, -100.0], [0, 0, 0, 1]])


def volume():
    """A body of 0 HU with a liver of 100 HU and a tumor of 60 HU, and its label."""
    place = np.moveaxis(np.indices(SHAPE), 0, -1)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:12, 4:13, 3:11] = 1
    labels[5:8, 6:9, 5:8] = 2
    values = np.where(np.linalg.norm((place - 9) / 9, axis=-1) < 1.4, 0, -1000).astype(np.int16)
    values[labels == 1] = 100
    values[labels == 2] = 60
    return values + (place.sum(axis=-1) % 7).astype(np.int16), labels


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two good cases; the first is the one that gets the fault."""
    folder = tmp_path_factory.mktemp("good")
    values, labels = volume()
    for number in (0, 1):
        nibabel.save(nibabel.Nifti1Image(values + number, AFFINE), folder / f"volume-{number}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(labels, AFFINE), folder / f"segmentation-{number}.nii.gz")
    return folder


@pytest.fixture
def source(good, tmp_path):
    return shutil.copytree(good, tmp_path / "a source")


def read(path):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))


def save(path, values, affine=AFFINE, **header):
    image = nibabel.Nifti1Image(values, affine)
    for key, value in header.items():
        image.header[key] = value
    path.write_bytes(gzip.compress(image.to_bytes(), 1))


def edit_bytes(path, change):
    """Change the inflated bytes of a file."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(bytes(change(raw) or raw), 1))


def put(offset, form, *values):
    def change(raw):
        struct.pack_into(form, raw, offset, *values)

    return change


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n")


def cut_plain(path):
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes())[:-300])
    path.unlink()


def sheared(cosine):
    affine = AFFINE.copy()
    affine[0, 1] = cosine * 1.5
    return affine


def check(done, values, labels, image_affine=AFFINE, case="lits_000"):
    """Image and label of a converted case, as three readers see them."""
    ending = done.json("dataset.json")["file_ending"]
    image, label = done.folder / f"imagesTr/{case}_0000{ending}", done.folder / f"labelsTr/{case}{ending}"
    written, mask = nibabel.load(image), nibabel.load(label)
    assert written.shape == mask.shape == SHAPE
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_allclose(written.get_fdata(), values, atol=1e-3)
    np.testing.assert_array_equal(np.asanyarray(mask.dataobj), labels)
    np.testing.assert_allclose(written.affine, image_affine, atol=0.05)
    np.testing.assert_array_equal(written.affine, mask.affine)
    np.testing.assert_array_equal(written.header.get_zooms(), mask.header.get_zooms())
    first, second = SimpleITK.ReadImage(str(image)), SimpleITK.ReadImage(str(label))
    assert (first.GetSpacing(), first.GetOrigin(), first.GetDirection()) == (
        second.GetSpacing(),
        second.GetOrigin(),
        second.GetDirection(),
    )


def test_good_cases_are_good(convert, source):
    values, labels = volume()
    done = convert("lits", source)
    assert (done.code, done.summary["training"], done.summary["warnings"]) == (0, 2, [done.summary["warnings"][0]])
    assert "only 2 groups" in done.summary["warnings"][0]
    check(done, values, labels)


REFUSED = {
    "image cut off": ("image", cut, "gzip stream ends early"),
    "label cut off": ("label", cut, "gzip stream ends early"),
    "image damaged": ("image", damage, "damaged|cut off"),
    "plain image cut off": ("image", cut_plain, "cut off"),
    "image is a pointer": ("image", pointer, "Git LFS pointer"),
    "label is a pointer": ("label", pointer, "Git LFS pointer"),
    "empty file": ("image", lambda path: path.write_bytes(b""), "is empty"),
    "not NIfTI": ("image", lambda path: path.write_bytes(gzip.compress(b"hello" * 1000)), "no readable NIfTI header"),
    "NaN": ("image", lambda path: save(path, np.where(volume()[1] > 1, np.nan, volume()[0])), "NaN or infinite"),
    "infinite": ("image", lambda path: save(path, np.where(volume()[1] > 1, np.inf, volume()[0])), "NaN or infinite"),
    "no contrast": ("image", lambda path: save(path, np.zeros(SHAPE, np.int16)), "in every voxel"),
    "time series": ("image", lambda path: save(path, np.stack([volume()[0]] * 3, -1)), "not three dimensions"),
    "sheared": ("image", lambda path: save(path, volume()[0], sheared(0.2)), "sheared axes"),
    "colour voxels": ("image", lambda path: edit_bytes(path, put(70, "<hh", 128, 24)), "plain number"),
    "singular affine": ("image", lambda path: edit_bytes(path, put(280, "<12f", *[0.0] * 12)), "not invertible"),
    "nowhere to begin": ("image", lambda path: edit_bytes(path, put(108, "<f", float("nan"))), "no readable NIfTI"),
    "intercept NaN": ("label", lambda path: edit_bytes(path, put(112, "<2f", 1, float("nan"))), "no readable NIfTI"),
    "labels between": ("label", lambda path: save(path, volume()[1] * 0.5), "between whole numbers"),
    "labels NaN": ("label", lambda path: save(path, np.where(volume()[1] > 1, np.nan, 0.0)), "NaN or infinite"),
    "CT as label": ("label", lambda path: save(path, volume()[0]), "an image, not a label"),
    "label 255": ("label", lambda path: save(path, (volume()[1] > 0).astype(np.uint8) * 255), "only 0 and 255"),
    "label 5": ("label", lambda path: save(path, volume()[1] * np.uint8(5)), r"value\(s\) 5, 10; allowed are 0, 1, 2"),
    "other shape": ("label", lambda path: save(path, volume()[1][:-2]), "not on one grid"),
    "other shape, unit matrix": ("label", lambda path: save(path, volume()[1][:-2], np.eye(4)), "nothing says how"),
    "image without geometry": ("image", lambda path: save(path, volume()[0], np.eye(4)), "image has no real geometry"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_and_the_rest_converts(convert, source, name):
    role, spoil, reason = REFUSED[name]
    spoil(source / ("volume-0.nii.gz" if role == "image" else "segmentation-0.nii.gz"))
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    done = convert("lits", source)
    assert done.code == 1
    assert done.summary["training"] == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(done.reason("lits_000"))
    assert not list(done.folder.glob("*/lits_000*"))
    for file in done.case("lits_000")["files"]:
        assert file["sha256"] == hashlib.sha256((source / file["path"]).read_bytes()).hexdigest()
    values, labels = volume()
    check(done, values + 1, labels, case="lits_001")
    # Sources are never touched.
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def two_members(path):
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:2000]) + gzip.compress(raw[2000:]))


def big_endian(path):
    image = read(path)
    swapped = nibabel.Nifti1Image(np.asanyarray(image.dataobj).astype(">i2"), AFFINE, image.header.as_byteswapped(">"))
    path.write_bytes(gzip.compress(swapped.to_bytes(), 1))


def plain_under_a_gzip_name(path):
    path.write_bytes(gzip.decompress(path.read_bytes()))


def moved_qform(path):
    image = read(path)
    shifted = AFFINE.copy()
    shifted[0, 3] += 9
    image.header.set_qform(shifted, 1)
    image.header.set_sform(AFFINE, 1)
    path.write_bytes(gzip.compress(image.to_bytes(), 1))


def nifti2(path):
    image = nibabel.Nifti2Image(np.asanyarray(read(path).dataobj), AFFINE)
    path.write_bytes(gzip.compress(image.to_bytes(), 1))


CONVERTED = {
    "trailing one": ("image", lambda path: save(path, volume()[0][..., None]), "axes of length 1"),
    "trailing one on the label": (
        "label",
        lambda path: save(path, volume()[1][..., None]),
        "trailing axes of length 1",
    ),
    "slope": ("image", lambda path: save(path, volume()[0] * 2, scl_slope=0.5, scl_inter=0), ""),
    "slope on the label": ("label", lambda path: save(path, volume()[1] * np.uint8(2), scl_slope=0.5, scl_inter=0), ""),
    "slope and intercept": (
        "image",
        lambda path: save(path, volume()[0] + np.int16(1024), scl_slope=1, scl_inter=-1024),
        "",
    ),
    "rounding": ("label", lambda path: save(path, volume()[1] + np.float64(1e-5)), "rounded"),
    "float labels": ("label", lambda path: save(path, volume()[1].astype(np.float32)), ""),
    "wide labels": ("label", lambda path: save(path, volume()[1].astype(np.int32)), ""),
    "signed labels": ("label", lambda path: save(path, volume()[1].astype(np.int8)), ""),
    "float image": ("image", lambda path: save(path, volume()[0].astype(np.float64)), ""),
    "two gzip members": ("image", two_members, ""),
    "big-endian": ("image", big_endian, ""),
    "plain under a gzip name": ("image", plain_under_a_gzip_name, "its contents do not"),
    "qform elsewhere": ("image", moved_qform, "disagreed"),
    "pixdim elsewhere": ("image", lambda path: edit_bytes(path, put(80, "<3f", 1, 1, 1)), "pixdim"),
    "NaN in the label's sform": (
        "label",
        lambda path: edit_bytes(path, put(280, "<f", float("nan"))),
        "no real geometry",
    ),
    "unit matrix on the label": ("label", lambda path: save(path, volume()[1], np.eye(4)), "no real geometry"),
    "numerical noise": ("label", lambda path: save(path, volume()[1], AFFINE + 1e-4), ""),
    "NIfTI-2": ("image", nifti2, "NIfTI-1"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_converted_rightly(convert, source, name):
    role, spoil, note = CONVERTED[name]
    spoil(source / ("volume-0.nii.gz" if role == "image" else "segmentation-0.nii.gz"))
    done = convert("lits", source)
    assert done.code == 0, done.summary["refusals"]
    check(done, *volume())
    notes = [text for file in done.case("lits_000")["files"] for text in file.get("notes", [])]
    assert [note in text for text in notes] == ([True] if note else [])


def test_slightly_sheared_axes_are_made_orthogonal_for_both(convert, source):
    values, labels = volume()
    save(source / "volume-0.nii.gz", values, sheared(0.005))
    save(source / "segmentation-0.nii.gz", labels, sheared(0.005))
    done = convert("lits", source)
    assert done.code == 0, done.summary["refusals"]
    # SimpleITK would refuse the source.
    check(done, values, labels, image_affine=sheared(0.005))
    assert "made orthogonal" in done.case("lits_000")["files"][0]["notes"][0]


def test_no_orientation_codes(convert, source):
    for name in ("volume-0.nii.gz", "segmentation-0.nii.gz"):
        edit_bytes(source / name, put(252, "<hh", 0, 0))
    done = convert("lits", source)
    assert done.code == 0
    check(done, *volume(), image_affine=nibabel.load(source / "volume-0.nii.gz").affine)


@pytest.mark.parametrize(("value", "warning"), [(0, "label is empty"), (1, "fills the whole volume")])
def test_empty_and_full_labels_are_converted_with_a_warning(convert, source, value, warning):
    save(source / "segmentation-0.nii.gz", np.full(SHAPE, value, dtype=np.uint8))
    done = convert("lits", source)
    assert done.code == 0
    assert any(warning in text for text in done.summary["warnings"])


def test_nothing_left_is_an_error_without_output(convert, source, raw):
    for path in source.glob("volume-*"):
        cut(path)
    done = convert("lits", source)
    assert done.code == 2
    assert "every training case was refused" in done.summary["error"]
    assert not list(raw.glob("Dataset*"))
