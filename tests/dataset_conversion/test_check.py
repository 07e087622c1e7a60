"""A sound raw data set has no findings; each planted fault is found, with its place."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813, its usual name
import tifffile
from PIL import Image

from dataset_conversion.check import command
from dataset_conversion.check.run import check
from nnunet_tricks.cli import main

CASES = tuple(f"case_{number:03d}" for number in range(6))
AFFINE = np.array([[-0.8, 0, 0, 90], [0, -0.8, 0, 120], [0, 0, 3, -40], [0, 0, 0, 1]], dtype=float)


def volume(file: Path, seed: int, *, affine: np.ndarray = AFFINE, shape: tuple[int, ...] = (9, 8, 7)) -> None:
    voxels = np.random.default_rng(seed).integers(-900, 900, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), file)


def label(file: Path, *, values: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> None:
    if values is None:
        values = np.zeros((9, 8, 7), dtype=np.uint8)
        values[2:5, 2:5, 2:5] = 1
        values[3, 3, 3] = 2
    nibabel.save(nibabel.Nifti1Image(values, affine), file)


def describe(folder: Path, **changed: Any) -> None:
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "organ": 1, "tumour": 2},
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content | changed))


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset700_Volumes"
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    for number, case in enumerate(CASES):
        volume(folder / "imagesTr" / f"{case}_0000.nii.gz", number)
        label(folder / "labelsTr" / f"{case}.nii.gz")
    volume(folder / "imagesTs" / "other_0000.nii.gz", 99)
    describe(folder)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset701_Pictures"
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((40, 50), dtype=np.uint8)
    mask[10:20, 10:30] = 1
    for number, case in enumerate(CASES):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 50, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "imagesTr" / f"{case}_0000.png")
        Image.fromarray(mask).save(folder / "labelsTr" / f"{case}.png")
    names = {"0": "R", "1": "G", "2": "B"}
    describe(folder, channel_names=names, labels={"background": 0, "object": 1}, file_ending=".png")
    return folder


def findings_of(folder: Path) -> list[tuple[str, str, str, str]]:
    return [(f["level"], f["kind"], f["file"], f["says"]) for f in check(folder, quiet=True)["findings"]]


def test_a_sound_data_set_has_no_findings(volumes: Path, pictures: Path) -> None:
    assert findings_of(volumes) == []
    assert findings_of(pictures) == []


def image_file(folder: Path) -> Path:
    return folder / "imagesTr" / "case_002_0000.nii.gz"


def label_file(folder: Path) -> Path:
    return folder / "labelsTr" / "case_002.nii.gz"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def cut_inside(file: Path) -> None:
    """A whole gzip stream around half a volume."""
    contents = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(contents[: len(contents) // 2]))


def with_value(file: Path, value: float) -> None:
    voxels = np.asarray(nibabel.load(file).dataobj).astype(np.float32)
    voxels[1, 1, 1] = value
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), file)


def two_geometries(file: Path) -> None:
    """nibabel takes numbers for millimetres in any unit, SimpleITK does not."""
    loaded = nibabel.load(file)
    loaded.header.set_xyzt_units("meter")
    nibabel.save(loaded.__class__(np.asarray(loaded.dataobj), loaded.affine, loaded.header), file)


def copy_as_scaled_floats(folder: Path) -> None:
    """The same scan as another program may store it."""
    values = np.asarray(nibabel.load(image_file(folder)).dataobj).astype(np.float32)
    copy = nibabel.Nifti1Image((values + 1024) / 2, AFFINE)
    copy.header.set_slope_inter(2, -1024)
    nibabel.save(copy, folder / "imagesTs" / "other_0000.nii.gz")


def splits(folder: Path, folds: Any) -> None:
    (folder / "splits_final.json").write_text(json.dumps(folds))


def grouped(folder: Path) -> None:
    rows = "".join(f"{case},{'patient' if number in (0, 5) else case}\n" for number, case in enumerate(CASES))
    (folder / "cases.csv").write_text("id,group\n" + rows)
    splits(folder, [{"train": list(CASES[:4]), "val": list(CASES[4:])}])


def shifted(distance: float) -> np.ndarray:
    moved = AFFINE.copy()
    moved[0, 3] += distance
    return moved


VOLUME_FAULTS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "cut off": (lambda f: cut(image_file(f)), "damaged", "imagesTr/case_002_0000.nii.gz", "cut off"),
    "cut inside": (lambda f: cut_inside(label_file(f)), "damaged", "labelsTr/case_002.nii.gz", "cut off"),
    "empty file": (lambda f: image_file(f).write_bytes(b""), "damaged", "imagesTr/case_002_0000.nii.gz", "is empty"),
    "dangling link": (
        lambda f: (image_file(f).unlink(), image_file(f).symlink_to("nowhere.nii.gz")),
        "damaged",
        "imagesTr/case_002_0000.nii.gz",
        "nowhere.nii.gz, which does not exist",
    ),
    "not a number": (
        lambda f: with_value(image_file(f), np.nan),
        "damaged",
        "imagesTr/case_002_0000.nii.gz",
        "NaN or infinite",
    ),
    "constant": (
        lambda f: nibabel.save(nibabel.Nifti1Image(np.ones((9, 8, 7), np.int16), AFFINE), image_file(f)),
        "damaged",
        "imagesTr/case_002_0000.nii.gz",
        "in every voxel",
    ),
    "resampled label": (
        lambda f: with_value(label_file(f), 0.4),
        "damaged",
        "labelsTr/case_002.nii.gz",
        "between whole numbers",
    ),
    "unknown label": (
        lambda f: with_value(label_file(f), 7),
        "labels",
        "labelsTr/case_002.nii.gz",
        "holds 7; dataset.json knows 0 (background), 1 (organ), 2 (tumour)",
    ),
    "255": (
        lambda f: label(label_file(f), values=np.pad(np.full((3, 3, 3), 255, np.uint8), ((2, 4), (2, 3), (2, 2)))),
        "labels",
        "labelsTr/case_002.nii.gz",
        "holds 0 and 255",
    ),
    "other shape": (
        lambda f: volume(image_file(f), 2, shape=(9, 8, 6)),
        "geometry",
        "labelsTr/case_002.nii.gz",
        "has shape (9, 8, 7), the image (9, 8, 6)",
    ),
    "elsewhere": (
        lambda f: label(label_file(f), affine=shifted(4.0)),
        "geometry",
        "labelsTr/case_002.nii.gz",
        "corners are 5 voxels apart",
    ),
    "header without geometry": (
        lambda f: label(label_file(f), affine=np.eye(4)),
        "geometry",
        "labelsTr/case_002.nii.gz",
        "is not in the place of the image",
    ),
    "two geometries": (
        lambda f: (two_geometries(image_file(f)), two_geometries(label_file(f))),
        "header",
        "imagesTr/case_002_0000.nii.gz",
        "a header that readers understand differently; a conversion notes: the header gives lengths in metres",
    ),
    "no label": (lambda f: label_file(f).unlink(), "pairs", "imagesTr/case_002", "has no label"),
    "no image": (lambda f: image_file(f).unlink(), "pairs", "labelsTr/case_002.nii.gz", "has no image"),
    "no channel number": (
        lambda f: image_file(f).rename(f / "imagesTr" / "case_002.nii.gz"),
        "pairs",
        "imagesTr/case_002.nii.gz",
        "has no channel number; nnU-Net needs case_002_0000.nii.gz",
    ),
    "a channel too many": (
        lambda f: volume(f / "imagesTr" / "case_002_0001.nii.gz", 5),
        "pairs",
        "imagesTr/case_002",
        "has the channels _0000, _0001; dataset.json asks for _0000",
    ),
    "a channel is missing": (
        lambda f: describe(f, channel_names={"0": "T1", "1": "T2"}),
        "channels",
        "imagesTr/case_000_0000.nii.gz",
        "has 1 channels; dataset.json names 2",
    ),
    "another ending": (
        lambda f: sitk.WriteImage(sitk.ReadImage(str(image_file(f))), str(f / "imagesTr" / "more_0000.nrrd")),
        "pairs",
        "imagesTr/more_0000.nrrd",
        "whose files end in .nii.gz",
    ),
    "wrong count": (
        lambda f: describe(f, numTraining=9),
        "pairs",
        "dataset.json",
        "'numTraining' is 9, but there are 6",
    ),
    "a gap in the labels": (
        lambda f: describe(f, labels={"background": 0, "organ": 1, "tumour": 2, "cyst": 4}),
        "labels",
        "dataset.json",
        "without a gap; got 0, 1, 2, 4",
    ),
    "ignore is not last": (
        lambda f: describe(f, labels={"background": 0, "ignore": 1, "tumour": 2}),
        "labels",
        "dataset.json",
        "'ignore' must be the highest",
    ),
    "regions without an order": (
        lambda f: describe(f, labels={"background": 0, "organ": [1, 2], "tumour": 2}),
        "labels",
        "dataset.json",
        "'regions_class_order' needs 2 values",
    ),
    "an unknown reader": (
        lambda f: describe(f, overwrite_image_reader_writer="PillowIO"),
        "description",
        "dataset.json",
        "asks for the reader 'PillowIO'",
    ),
    "an unknown ending": (lambda f: describe(f, file_ending=".jpg"), "description", "dataset.json", "'.jpg'"),
    "no description": (lambda f: (f / "dataset.json").unlink(), "description", "dataset.json", "is missing"),
    "half a description": (
        lambda f: (f / "dataset.json").write_text('{"labels": '),
        "description",
        "dataset.json",
        "cannot be read as JSON",
    ),
    "trained and tested": (
        lambda f: shutil.copy(image_file(f), f / "imagesTs" / "other_0000.nii.gz"),
        "leak",
        "imagesTs/other_0000.nii.gz",
        "the training case case_002 shows the same",
    ),
    "tested under the same name": (
        lambda f: shutil.copy(image_file(f), f / "imagesTs"),
        "leak",
        "imagesTs/case_002_0000.nii.gz",
        "the training case case_002 shows the same (identical)",
    ),
    "a copy of another type, scaled": (
        copy_as_scaled_floats,
        "leak",
        "imagesTs/other_0000.nii.gz",
        "the training case case_002 shows the same",
    ),
    "two labels of one value": (
        lambda f: describe(f, labels={"background": 0, "organ": 1, "tumour": 1}),
        "labels",
        "dataset.json",
        "labels 'organ' and 'tumour' share the value 1",
    ),
    "labels as in version 1": (
        lambda f: describe(f, labels={"0": "background", "1": "organ", "2": "tumour"}),
        "labels",
        "dataset.json",
        "must be a whole number, 0 or above, and nnU-Net v2 wants the name first, then the value",
    ),
    "a listed case that is no list": (
        lambda f: describe(f, dataset={"x": {"images": "imagesTr/x_0000.nii.gz", "label": "labelsTr/x.nii.gz"}}),
        "description",
        "dataset.json",
        "'dataset' needs \"images\": [...]",
    ),
    "a patient on both sides, with semicolons": (
        lambda f: (
            grouped(f),
            (f / "cases.csv").write_text((f / "cases.csv").read_text().replace(",", ";"), encoding="utf-16"),
        ),
        "leak",
        "splits_final.json",
        "such as case_005 with case_000",
    ),
    "label values that no reader expects": (
        lambda f: label(
            label_file(f), values=np.where(np.eye(9, 8)[..., None] + np.zeros(7) > 0, 300, -1).astype("i2")
        ),
        "labels",
        "labelsTr/case_002.nii.gz",
        "holds -1, 300; dataset.json knows",
    ),
    "an image in place of the label": (
        lambda f: shutil.copy(f / "imagesTr" / "case_001_0000.nii.gz", label_file(f)),
        "labels",
        "labelsTr/case_002.nii.gz",
        "that is an image, not a label map",
    ),
    "a label in place of the image": (
        lambda f: shutil.copy(label_file(f), image_file(f)),
        "pairs",
        "labelsTr/case_002.nii.gz",
        "holds the same as its image",
    ),
    "a region in the wrong order": (
        lambda f: describe(f, labels={"background": 0, "tumour": 2, "organ": [1, 2]}, regions_class_order=[2, 1]),
        "labels",
        "dataset.json",
        "region 'organ' holds all of 'tumour' and comes after it",
    ),
    "a region with the value of another": (
        lambda f: describe(f, labels={"background": 0, "organ": [1, 2], "tumour": 2}, regions_class_order=[2, 1]),
        "labels",
        "dataset.json",
        "'regions_class_order' writes 'tumour' as 1, which is none of its values [2]",
    ),
    "a split that leaks": (
        lambda f: splits(f, [{"train": list(CASES[:4]), "val": list(CASES[3:])}]),
        "leak",
        "splits_final.json",
        "fold 0 trains on 1 of its validation cases, such as case_003",
    ),
    "a split of other cases": (
        lambda f: splits(f, [{"train": [*CASES[:4], "ghost"], "val": list(CASES[4:])}]),
        "splits",
        "splits_final.json",
        "such as ghost",
    ),
    "a split that is none": (
        lambda f: splits(f, {"train": []}),
        "splits",
        "splits_final.json",
        "must be a list of folds",
    ),
    "a patient on both sides": (
        grouped,
        "leak",
        "splits_final.json",
        "such as case_005 with case_000",
    ),
    "a copy on both sides": (
        lambda f: (
            shutil.copy(f / "imagesTr" / "case_000_0000.nii.gz", f / "imagesTr" / "case_005_0000.nii.gz"),
            splits(f, [{"train": list(CASES[:4]), "val": list(CASES[4:])}]),
        ),
        "leak",
        "splits_final.json",
        "such as case_005 with case_000",
    ),
}


@pytest.mark.parametrize("name", VOLUME_FAULTS)
def test_a_fault_among_volumes_is_found(name: str, volumes: Path) -> None:
    plant, kind, file, says = VOLUME_FAULTS[name]
    plant(volumes)
    faults = [finding for finding in findings_of(volumes) if finding[0] == "fault"]
    assert any(finding[1:3] == (kind, file) and says in finding[3] for finding in faults), faults


def png(folder: Path, part: str, pixels: np.ndarray, **options: Any) -> None:
    name = "case_002_0000.png" if part == "imagesTr" else "case_002.png"
    Image.fromarray(pixels).save(folder / part / name, **options)


def turned(folder: Path) -> None:
    file = folder / "imagesTr" / "case_002_0000.png"
    image = Image.open(file)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(file, exif=exif)


COLOUR = np.random.default_rng(3).integers(0, 255, (40, 50, 3)).astype(np.uint8)
PICTURE_FAULTS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "grey": (lambda f: png(f, "imagesTr", COLOUR[..., 0]), "channels", "imagesTr/case_002_0000.png", "has 1 channels"),
    "transparent": (
        lambda f: png(f, "imagesTr", np.dstack([COLOUR, COLOUR[..., :1]])),
        "channels",
        "imagesTr/case_002_0000.png",
        "has 4 channels",
    ),
    "black": (lambda f: png(f, "imagesTr", COLOUR * 0), "values", "imagesTr/case_002_0000.png", "in every pixel"),
    "turned": (turned, "geometry", "imagesTr/case_002_0000.png", "viewers turn it, nnU-Net does not"),
    "cut off": (
        lambda f: cut(f / "imagesTr" / "case_002_0000.png"),
        "damaged",
        "imagesTr/case_002_0000.png",
        "damaged",
    ),
    "mask of 255": (
        lambda f: png(f, "labelsTr", (COLOUR[..., 0] > 90).astype(np.uint8) * 255),
        "labels",
        "labelsTr/case_002.png",
        "holds 0 and 255",
    ),
    "colour mask": (lambda f: png(f, "labelsTr", COLOUR), "labels", "labelsTr/case_002.png", "is a colour picture"),
    "smaller mask": (
        lambda f: png(f, "labelsTr", np.eye(20, 25, dtype=np.uint8)),
        "geometry",
        "labelsTr/case_002.png",
        "has shape (20, 25), the image (40, 50)",
    ),
    "same picture in two folds": (
        lambda f: shutil.copy(f / "imagesTr" / "case_000_0000.png", f / "imagesTr" / "case_001_0000.png"),
        "leak",
        "splits_final.json (none; nnU-Net deals the cases at random)",
        "case_00",
    ),
}


@pytest.mark.parametrize("name", PICTURE_FAULTS)
def test_a_fault_among_pictures_is_found(name: str, pictures: Path) -> None:
    plant, kind, file, says = PICTURE_FAULTS[name]
    plant(pictures)
    faults = [finding for finding in findings_of(pictures) if finding[0] == "fault"]
    assert any(finding[1:3] == (kind, file) and says in finding[3] for finding in faults), faults


def test_sixteen_bits_beside_eight_are_found(pictures: Path) -> None:
    for part in ("imagesTr",):
        for number, case in enumerate(CASES):
            kind = np.uint16 if case == "case_002" else np.uint8
            grey = np.random.default_rng(number).integers(0, 255, (40, 50)).astype(kind)
            Image.fromarray(grey).save(pictures / part / f"{case}_0000.png")
    describe(pictures, channel_names={"0": "grey"}, labels={"background": 0, "object": 1}, file_ending=".png")
    assert [finding[1:3] for finding in findings_of(pictures)] == [("values", "imagesTr/case_002_0000.png")]


def test_an_empty_label_and_a_copy_in_one_fold_are_notes(volumes: Path) -> None:
    label(label_file(volumes), values=np.zeros((9, 8, 7), np.uint8))
    shutil.copy(volumes / "imagesTr" / "case_000_0000.nii.gz", volumes / "imagesTr" / "case_001_0000.nii.gz")
    splits(volumes, [{"train": list(CASES[:4]), "val": list(CASES[4:])}])
    assert {(level, kind) for level, kind, _, _ in findings_of(volumes)} == {("note", "labels"), ("note", "duplicate")}


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_formats_are_read_by_simpleitk(ending: str, volumes: Path) -> None:
    for file in [
        *(volumes / "imagesTr").iterdir(),
        *(volumes / "labelsTr").iterdir(),
        *(volumes / "imagesTs").iterdir(),
    ]:
        sitk.WriteImage(sitk.ReadImage(str(file)), str(file).removesuffix(".nii.gz") + ending)
        file.unlink()
    describe(volumes, file_ending=ending)
    assert findings_of(volumes) == []
    moved = volumes / "labelsTr" / f"case_004{ending}"
    image = sitk.ReadImage(str(moved))
    image.SetOrigin([value + 5 for value in image.GetOrigin()])
    sitk.WriteImage(image, str(moved))
    cut(volumes / "imagesTr" / f"case_001_0000{ending}")
    assert [finding[1:3] for finding in findings_of(volumes)] == [
        ("damaged", f"imagesTr/case_001_0000{ending}"),
        ("geometry", f"labelsTr/case_004{ending}"),
    ]


def test_files_that_dataset_json_lists_are_found_elsewhere(volumes: Path) -> None:
    (volumes / "imagesTr").rename(volumes / "scans")
    listed = {
        case: {"images": [f"scans/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"} for case in CASES[:-1]
    } | {"gone": {"images": ["scans/gone.nii.gz"], "label": f"labelsTr/{CASES[-1]}.nii.gz"}}
    describe(volumes, dataset=listed, numTraining=5)
    assert [(finding[1], finding[2]) for finding in findings_of(volumes)] == [("pairs", "dataset.json")]


def test_two_channels_that_hold_the_same_are_a_note(volumes: Path) -> None:
    shutil.rmtree(volumes / "imagesTs")
    for number, case in enumerate(CASES):
        volume(volumes / "imagesTr" / f"{case}_0001.nii.gz", number if case == "case_003" else number + 50)
    describe(volumes, channel_names={"0": "T1", "1": "T2"})
    says = "is one of 2 channels, and two of them hold the same"
    assert findings_of(volumes) == [("note", "duplicate", "imagesTr/case_003_0000.nii.gz", says)]


def test_regions_that_share_values_are_sound(volumes: Path) -> None:
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    describe(volumes, labels=regions, regions_class_order=[1, 2, 3])
    assert findings_of(volumes) == []


def test_cases_that_share_one_of_two_channels_are_no_copies(volumes: Path) -> None:
    for number, case in enumerate(CASES):
        volume(volumes / "imagesTr" / f"{case}_0001.nii.gz", 50)
        volume(volumes / "imagesTr" / f"{case}_0000.nii.gz", number)
    shutil.rmtree(volumes / "imagesTs")
    describe(volumes, channel_names={"0": "T1", "1": "prior"})
    assert findings_of(volumes) == []
    for case in CASES:
        (volumes / "imagesTr" / f"{case}_0000.nii.gz").rename(volumes / "imagesTr" / "kept")
        (volumes / "imagesTr" / f"{case}_0001.nii.gz").rename(volumes / "imagesTr" / f"{case}_0000.nii.gz")
        (volumes / "imagesTr" / "kept").rename(volumes / "imagesTr" / f"{case}_0001.nii.gz")
    assert findings_of(volumes) == []


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """TIFF stacks with their spacing in the files that nnU-Net reads, and no reader in ``dataset.json``."""
    folder = tmp_path / "Dataset702_Stacks"
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    values = np.zeros((7, 20, 30), dtype=np.uint8)
    values[2:5, 3:9, 4:9] = 1
    for number, case in enumerate(CASES):
        voxels = np.random.default_rng(number).integers(0, 900, values.shape).astype(np.uint16)
        tifffile.imwrite(folder / "imagesTr" / f"{case}_0000.tif", voxels)
        tifffile.imwrite(folder / "labelsTr" / f"{case}.tif", values)
        for part in ("imagesTr", "labelsTr"):
            (folder / part / f"{case}.json").write_text('{"spacing": [3, 1, 1]}')
    describe(folder, channel_names={"0": "light"}, labels={"background": 0, "cell": 1}, file_ending=".tif")
    return folder


@pytest.mark.parametrize("reader", [None, "Tiff3DIO"])
def test_sound_stacks_have_no_findings(reader: str | None, stacks: Path) -> None:
    content = json.loads((stacks / "dataset.json").read_text()) | {"overwrite_image_reader_writer": reader}
    (stacks / "dataset.json").write_text(json.dumps(content))
    assert findings_of(stacks) == []


@pytest.mark.parametrize(
    ("place", "text", "says"),
    [
        ("labelsTr/case_002", '{"spacing": [1, 1, 3]}', "has the spacing [1.0, 1.0, 3.0], the image [3.0, 1.0, 1.0]"),
        ("imagesTr/case_002", '{"spacing": [3, 1', "is not JSON with a 'spacing' of three numbers"),
        ("imagesTr/case_002", '{"spacing": [3, 0, 1]}', "needs three lengths above 0"),
        ("imagesTr/case_002", '{"voxel": [3, 1, 1]}', "is not JSON with a 'spacing' of three numbers"),
        ("imagesTr/case_002", "", "takes 1, 1, 1 if there is no such file"),
        ("imagesTr/case_002_0000", '{"spacing": [3, 1, 1]}', "nnU-Net looks for the spacing in case_002.json"),
        ("imagesTr/other", '{"spacing": [3, 1, 1]}', "belongs to no image of this data set"),
    ],
)
def test_a_wrong_spacing_of_a_stack_is_found(place: str, text: str, says: str, stacks: Path) -> None:
    file = stacks / f"{place}.json"
    if text:
        file.write_text(text)
    else:
        file.unlink()
    faults = [finding for finding in findings_of(stacks) if finding[0] == "fault"]
    assert [says in finding[3] for finding in faults] == [True], faults


def test_the_command_finds_by_number_prints_json_and_writes_nothing(
    volumes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("nnUNet_raw", str(volumes.parent))
    before = {file: file.stat().st_mtime_ns for file in volumes.rglob("*")}
    assert main(["check", "700", "--json", "--workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == 0
    label_file(volumes).unlink()
    assert command.main([str(volumes), "--workers", "1"]) == 1
    assert "1 fault:" in capsys.readouterr().out
    before.pop(label_file(volumes))
    after = {file: file.stat().st_mtime_ns for file in volumes.rglob("*")}
    assert {file: time for file, time in after.items() if file.is_file()} == {
        file: time for file, time in before.items() if file.is_file()
    }
    assert main(["check", "701"]) == 2
    assert "has no data sets called '701'" in capsys.readouterr().err
