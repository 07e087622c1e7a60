"""ISIC 2018: layouts, formats, sizes, duplicates, splits."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from skimage import io

ID = "ISIC_0012388"
INPUT = "ISIC2018_Task1-2_Training_Input"
TRUTH = "ISIC2018_Task1_Training_GroundTruth"


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_pixels_survive_in_every_format(convert, data, ending):
    done = convert("isic2018", data / "isic2018", "--format", ending)
    assert done.code == 0
    # As nnU-Net's reader reads them.
    written = io.imread(done.folder / f"imagesTr/{ID}_0000.{ending}")
    np.testing.assert_array_equal(written, np.asarray(Image.open(data / f"isic2018/{INPUT}/{ID}.jpg")))
    label = io.imread(done.folder / f"labelsTr/{ID}.{ending}")
    truth = np.asarray(Image.open(data / f"isic2018/{TRUTH}/{ID}_segmentation.png"))
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, truth // 255)


def test_several_masks_of_one_picture_are_refused(convert, copied):
    source = copied("isic2018")
    shutil.copyfile(source / TRUTH / f"{ID}_segmentation.png", source / TRUTH / f"{ID}_segmentation_2.png")
    done = convert("isic2018", source)
    assert done.code == 1
    assert f"2 files claim to be the label: '{TRUTH}/{ID}_segmentation.png' and" in done.reason(ID)


def test_parts_go_where_they_belong(convert, data):
    done = convert("isic2018", data / "isic2018", "--split", "official")
    assert done.json("splits_final.json") == [
        {"train": ["ISIC_0012388", "ISIC_0013948", "ISIC_0014600"], "val": ["ISIC_0016003"]}
    ]
    assert [path.name for path in (done.folder / "labelsTs").iterdir()] == ["ISIC_0014270.png"]
    described = done.json("dataset.json")
    assert described["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert described["overwrite_image_reader_writer"] == "NaturalImage2DIO"


def test_papers_scheme_splits_the_training_part_only(convert, data):
    done = convert("isic2018", data / "isic2018", "--split", "mediseg")
    tests = done.json("splits_test.json")
    folds = done.json("splits_final.json")
    assert sorted(name for ids in tests.values() for name in ids) == ["ISIC_0012388", "ISIC_0013948", "ISIC_0014600"]
    for number, fold in enumerate(folds):
        parts = [set(fold["train"]), set(fold["val"]), set(tests[str(number)])]
        assert set.union(*parts) == {"ISIC_0012388", "ISIC_0013948", "ISIC_0014600"}
        assert sum(map(len, parts)) == 3


def test_max_size_keeps_shape_and_lesion(convert, data):
    full = convert("isic2018", data / "isic2018")
    small = convert("isic2018", data / "isic2018", "--max-size", 256, "-d", 600)
    large, reduced = full.case(ID), small.case(ID)
    assert reduced["size"] == [256, 170]
    share = [case["voxels"]["1"] / sum(case["voxels"].values()) for case in (large, reduced)]
    assert share[0] == pytest.approx(share[1], abs=0.002)


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("images/{}.jpg", "masks/{}.png"),
        ("images/{}.jpg", "masks/{}_segmentation.png"),
        ("ISIC2018_Task1_Testing_Input/{}.jpg", "ISIC2018_Task1_Testing_GroundTruth/{}_segmentation.png"),
        ("ISIC-2017_Training_Data/{}.jpg", "ISIC-2017_Training_Part1_GroundTruth/{}_Segmentation.png"),
        ("a copy (1)/{}.jpg", "a copy (1)/{}_segmentation.png"),
    ],
)
def test_layouts_of_the_copies(convert, data, tmp_path, picture, mask):
    # The word mask above the source folder must not turn pictures into masks.
    source = tmp_path / "unmasked mask test"
    for name in (ID, "ISIC_0013948"):
        for pattern, original in ((picture, f"{INPUT}/{name}.jpg"), (mask, f"{TRUTH}/{name}_segmentation.png")):
            target = source / pattern.format(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / "isic2018" / original, target)
    if "Testing" in picture:
        # A test part alone is nothing to train on.
        done = convert("isic2018", source)
        assert done.code == 2
        assert "no pair" in done.summary["error"]
    else:
        assert convert("isic2018", source).summary["training"] == 2


def test_other_files_beside_the_pictures_are_left_alone(convert, copied):
    source = copied("isic2018")
    (source / "ISIC2018_Task2_Training_GroundTruth_v3").mkdir()
    (source / "ISIC2018_Task3_Training_Input").mkdir()
    for name in (
        "ISIC2018_Task3_Training_Input/ISIC_0024306.jpg",
        f"ISIC2018_Task2_Training_GroundTruth_v3/{ID}_attribute_globules.png",
        f"{INPUT}/{ID}_superpixels.png",
        f"{INPUT}/._{ID}.jpg",
    ):
        shutil.copyfile(source / TRUTH / f"{ID}_segmentation.png", source / name)
    done = convert("isic2018", source)
    assert (done.code, done.summary["training"], done.summary["orphans"]) == (0, 4, 0)


def test_duplicates_stay_in_one_fold_and_are_reported_across_test(convert, copied):
    source = copied("isic2018")
    train, test = source / INPUT, source / "ISIC2018_Task1-2_Test_Input"
    truth = source / TRUTH
    # The same bytes again, a smaller copy of another picture, and a training picture among the test pictures.
    shutil.copyfile(train / f"{ID}.jpg", train / "ISIC_0000001.jpg")
    shutil.copyfile(truth / f"{ID}_segmentation.png", truth / "ISIC_0000001_segmentation.png")
    picture, mask = Image.open(train / "ISIC_0013948.jpg"), Image.open(truth / "ISIC_0013948_segmentation.png")
    picture.resize((300, 200)).save(train / "ISIC_0000002.jpg", quality=70)
    mask.resize((300, 200), 0).save(truth / "ISIC_0000002_segmentation.png")
    shutil.copyfile(train / "ISIC_0014600.jpg", test / "ISIC_0000003.jpg")
    done = convert("isic2018", source)
    assert done.code == 0
    kinds = {
        (duplicate["one"], duplicate["other"]): duplicate["kind"]
        for duplicate in done.json("conversion_report.json")["duplicates"]
    }
    assert kinds == {
        ("ISIC_0000001", ID): "identical",
        ("ISIC_0000002", "ISIC_0013948"): "near-identical",
        ("ISIC_0000003", "ISIC_0014600"): "identical",
    }
    for fold in done.json("splits_final.json"):
        for case, copy in (("ISIC_0000001", ID), ("ISIC_0000002", "ISIC_0013948")):
            assert (case in fold["train"]) == (copy in fold["train"])
    assert any("not independent" in warning and "ISIC_0014600" in warning for warning in done.summary["warnings"])


def test_lesions_from_a_csv_are_groups(convert, data, tmp_path):
    table = tmp_path / "lesions.csv"
    table.write_text("id,group\nISIC_0012388,L1\nISIC_0014600,L1\n")
    done = convert("isic2018", data / "isic2018", "--metadata", table)
    for fold in done.json("splits_final.json"):
        assert ("ISIC_0012388" in fold["train"]) == ("ISIC_0014600" in fold["train"])


PUBLISHED = {
    "lesion groupings of task 3": "image,lesion_id,diagnosis_confirm_type\nISIC_0012388,L1,x\nISIC_0014600,L1,y\n",
    "metadata of the archive": "isic_id,patient_id,lesion_id\nISIC_0012388,P1,L1\nISIC_0014600,P1,L2\n",
    "no patient": "isic_id,patient_id,lesion_id\nISIC_0012388,,L1\nISIC_0014600,,L1\n",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_lists_go_as_they_are(convert, data, tmp_path, name):
    table = tmp_path / "list.csv"
    table.write_text(PUBLISHED[name])
    done = convert("isic2018", data / "isic2018", "--metadata", table)
    groups = [done.case(case)["group"] for case in ("ISIC_0012388", "ISIC_0014600")]
    assert groups == [groups[0]] * 2
    assert "group" not in done.case("ISIC_0013948")


def packed(data, source, change=lambda pictures, masks: (pictures, masks), parts=("train", "val", "test")):
    """The sample as arrays, as code that trains on small pictures leaves them behind."""
    source.mkdir()
    names = sorted((data / "isic2018").glob("*_Input/*.jpg"))
    pictures = np.stack([np.asarray(Image.open(name).resize((64, 48))) for name in names])
    truth = [next((data / "isic2018").glob(f"*/{name.stem}_segmentation.png")) for name in names]
    masks = np.stack([np.asarray(Image.open(name).resize((64, 48), Image.Resampling.BILINEAR)) for name in truth])
    for part, rows in zip(parts, (slice(0, 3), slice(3, 4), slice(4, 5)), strict=True):
        for name, values in zip(("data", "mask"), change(pictures[rows], masks[rows]), strict=True):
            np.save(source / f"{name}_{part}.npy", values)
    return pictures, masks


ARRAYS = {
    "bytes": lambda pictures, masks: (pictures, masks),
    "doubles": lambda pictures, masks: (pictures.astype(np.float64), masks.astype(np.float64)),
    "0 to 1": lambda pictures, masks: (pictures / 255, masks[..., None] / 255),
    "truth values": lambda pictures, masks: (pictures, masks > 127),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_copies_packed_into_arrays(convert, data, tmp_path, kind):
    pictures, masks = packed(data, tmp_path / "arrays", ARRAYS[kind])
    done = convert("isic2018", tmp_path / "arrays", "--split", "official")
    assert (done.code, done.summary["training"], done.summary["test"]) == (0, 4, 1)
    for number in range(3):
        name = f"isic2018_train_{number:05d}"
        np.testing.assert_array_equal(io.imread(done.folder / f"imagesTr/{name}_0000.png"), pictures[number])
        np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{name}.png"), masks[number] > 127)
    assert done.json("splits_final.json")[0]["val"] == ["isic2018_val_00000"]
    assert "ISIC numbers are lost" in done.summary["warnings"][0]


def test_arrays_that_do_not_fit_are_refused(convert, data, tmp_path):
    source = tmp_path / "arrays"
    packed(data, source)
    np.save(source / "mask_val.npy", np.zeros((2, 48, 64)))
    negative = np.load(source / "data_train.npy").astype(np.float32)
    negative[1] -= 100
    np.save(source / "data_train.npy", negative)
    (source / "mask_test.npy").unlink()
    done = convert("isic2018", source)
    assert (done.code, done.summary["training"], done.summary["orphans"]) == (1, 2, 1)
    assert "is (2, 48, 64)" in done.reason("val")
    assert "values from -" in done.reason("isic2018_train_00001")


def test_arrays_beside_pictures_are_copies_of_them(convert, copied, data, tmp_path):
    source = copied("isic2018")
    packed(data, source / "arrays")
    assert convert("isic2018", source).summary["training"] == 4
