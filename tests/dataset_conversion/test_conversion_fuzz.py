"""Names, sizes, headers and kinds of pixels: always converted onto one grid, with the label's content where it was."""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import io

from dataset_conversion import command, geometry
from dataset_conversion.engine import convert_case
from dataset_conversion.model import ConversionSettings, PlannedCase
from dataset_conversion.registry import load
from dataset_conversion.staging import Workplace

SIZES = st.tuples(*[st.integers(3, 9)] * 3)
NAMES = st.text("abcXYZ 019_-.()äé", min_size=1, max_size=12).filter(
    lambda name: name.strip(" .") == name and not name.startswith(".")
)
EDGES = st.tuples(*[st.floats(0.3, 6)] * 3)
ANGLES = st.tuples(*[st.floats(-0.6, 0.6)] * 3)
ORIGINS = st.tuples(*[st.floats(-500, 500)] * 3)


def rotation(angles):
    answer = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [number for number in range(3) if number != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        answer = answer @ turn
    return answer


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=SIZES,
    edges=EDGES,
    angles=ANGLES,
    origin=ORIGINS,
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    dtype=st.sampled_from(["<i2", ">i2", "<f4", "<i4", "<u2", "<f8"]),
    label_dtype=st.sampled_from(["u1", "<u2", "<i4", "<f4", "<f8"]),
    codes=st.sampled_from([(1, 0), (0, 2), (1, 1), (0, 1)]),
    ending=st.sampled_from([".nii", ".nii.gz"]),
    folder=NAMES,
    turned=st.permutations(range(3)),
    mirrored=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
def test_any_header(
    size, edges, angles, origin, order, flips, dtype, label_dtype, codes, ending, folder, turned, mirrored
):
    affine = np.eye(4)
    affine[:3, :3] = (rotation(angles) * (np.array(edges) * flips))[:, list(order)]
    affine[:3, 3] = origin
    place = np.arange(np.prod(size)).reshape(size)
    labels = (place * 7 % 11 % 3).astype(np.uint8)
    image = nibabel.Nifti1Image((place % 1000 + 20).astype(dtype), affine)
    # The label in any other order of the same voxels.
    transform = np.array([[axis, flip] for axis, flip in zip(turned, mirrored, strict=True)], dtype=float)
    label = nibabel.Nifti1Image(labels, affine).as_reoriented(transform)
    label = nibabel.Nifti1Image(np.asanyarray(label.dataobj).astype(label_dtype), label.affine)
    for written in (image, label):
        written.header.set_qform(written.affine, codes[0])
        written.header.set_sform(written.affine, codes[1])
    with tempfile.TemporaryDirectory() as scratch:
        source, raw = Path(scratch, folder), Path(scratch, "the raw folder")
        source.mkdir()
        nibabel.save(image, source / f"volume-7{ending}")
        nibabel.save(label, source / f"segmentation-7{ending}")
        assert command.main("lits", [str(source), "--raw", str(raw), "--workers", "1", "--json"]) == 0
        (done,) = raw.glob("Dataset*")
        first = done / f"imagesTr/lits_007_0000{ending}"
        second = done / f"labelsTr/lits_007{ending}"
        by_image, by_label = nibabel.load(first), nibabel.load(second)
        np.testing.assert_array_equal(np.asanyarray(by_label.dataobj), labels)
        np.testing.assert_array_equal(np.asanyarray(by_image.dataobj), place % 1000 + 20)
        assert geometry.displacement(affine, by_image.affine, size) < geometry.SAME_GRID
        np.testing.assert_array_equal(by_image.affine, by_label.affine)
        # It is read without a complaint, onto one grid.
        images = [SimpleITK.ReadImage(str(path)) for path in (first, second)]
        assert images[0].GetDirection() == images[1].GetDirection()
        assert images[0].GetOrigin() == images[1].GetOrigin()


LAYOUTS = [("{}.png", "{}_mask.png"), ("images/{}.png", "masks/{}.png"), ("val/{}.png", "val/{}_GT.png")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    names=st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower),
    layout=st.sampled_from(LAYOUTS),
    mode=st.sampled_from(["RGB", "RGBA", "L", "LA", "I;16", "P"]),
    mask_mode=st.sampled_from(["L", "1", "RGB", "RGBA", "I;16"]),
    high=st.sampled_from([1, 255]),
    empty=st.booleans(),
)
def test_any_picture(size, names, layout, mode, mask_mode, high, empty):
    place = np.arange(size[0] * size[1]).reshape(size)
    grey = (place * 13 % 251).astype(np.uint8)
    inside = (place % 3 == 0) & (not empty)
    full = 65535 if mask_mode == "I;16" and high == 255 else high
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    mask = Image.fromarray(inside.astype(np.uint16 if mask_mode == "I;16" else np.uint8) * full)
    if mask_mode == "1":
        mask = Image.fromarray(inside)
    with tempfile.TemporaryDirectory() as scratch:
        source, raw = Path(scratch, "mask source"), Path(scratch, "raw")
        for name in names:
            for pattern, pixels in zip(
                layout, (picture, mask if mask_mode == "1" else mask.convert(mask_mode)), strict=True
            ):
                target = source / pattern.format(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                pixels.save(target)
        assert command.main("cosmos55k", [str(source), "--raw", str(raw), "--workers", "1", "--json"]) == 0
        (done,) = raw.glob("Dataset*")
        labels = sorted((done / "labelsTr").iterdir())
        assert len(labels) == len(names)
        for path in labels:
            np.testing.assert_array_equal(np.asarray(Image.open(path)), inside)
            written = io.imread(done / f"imagesTr/{path.stem}_0000.png")
            assert written.shape == (*size, 3)
            if mode != "I;16":
                np.testing.assert_array_equal(written, np.repeat(grey[..., None], 3, axis=2))


def spoilt(data, changes, keep):
    """Exchange some bytes, and cut the file off."""
    answer = bytearray(data)
    for place, value in changes:
        answer[place % len(answer)] = value
    return bytes(answer[: max(round(len(answer) * keep), 1)])


CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)
KEEP = st.sampled_from([1, 1, 0.9, 0.3])


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(
    image_changes=CHANGES, label_changes=CHANGES, keep=KEEP, form=st.sampled_from(["nii", "PNG", "JPEG", "BMP", "TIFF"])
)
def test_damaged_files_never_end_the_conversion(image_changes, label_changes, keep, form):
    grey = np.tile(np.arange(40, dtype=np.uint8), (30, 1))
    inside = (grey > 20).astype(np.uint8)
    name, ending = ("lits", ".nii") if form == "nii" else ("isic2018", ".png")
    task = load(name).tasks[0]
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch, f"{role}.{form.lower()}") for role in ("image", "label")]
        for path, pixels, changes in zip(paths, (grey, inside), (image_changes, label_changes), strict=True):
            if form == "nii":
                whole = nibabel.Nifti1Image(pixels.astype(np.int16)[..., None], np.diag([-1.5, -1.5, 3, 1])).to_bytes()
            else:
                stream = BytesIO()
                Image.fromarray(pixels * 255 if pixels is inside else pixels).save(stream, form)
                whole = stream.getvalue()
            path.write_bytes(spoilt(whole, changes, keep))
        work = Workplace(root=Path(scratch), settings=ConversionSettings(task=task, split="folds", file_ending=ending))
        # Anything but these two would be raised.
        record = convert_case(name, PlannedCase(id="case", image=paths[0], label=paths[1]), work)
        assert record.status == "converted" or (record.status == "refused" and record.reason)
