"""Cosmos55k and sets in its style: layouts, names, groups."""

from __future__ import annotations

import csv
import json
import os
import shutil

import nibabel
import numpy as np
import pytest
from PIL import Image
from skimage import io

from dataset_conversion import cosmos_names
from dataset_conversion.cosmos_names import group_of
from dataset_conversion.find import FoundFile


def test_parts_as_given_and_what_spans_them(convert, data):
    done = convert("cosmos55k", data / "cosmos55k")
    assert (done.code, done.summary["training"], done.summary["test"]) == (0, 49, 42)
    folds = done.json("splits_final.json")
    assert [(len(fold["train"]), len(fold["val"])) for fold in folds] == [(38, 11)]
    assert any("31548" in warning for warning in done.summary["warnings"])
    for path in (done.folder / "imagesTr").iterdir():
        assert io.imread(path).shape[2:] == (3,)


def test_same_volume_on_both_sides_is_reported(convert, copied):
    source = copied("cosmos55k")
    for name in ("CT_liver_MSD_flipped_10108_113.png", "CT_liver_MSD_flipped_10108_113_mask.png"):
        os.replace(source / "train" / name, source / "val" / name)
    done = convert("cosmos55k", source)
    assert any("CT_liver_MSD_10108 is on both sides" in warning for warning in done.summary["warnings"])
    folds = convert("cosmos55k", source, "--split", "folds", "-d", 600).json("splits_final.json")
    for fold in folds:
        assert not {group_of(name) for name in fold["train"]} & {group_of(name) for name in fold["val"]}


def moved(data, source, pattern, count=6):
    """A few training pairs under other names."""
    names = sorted(path.stem for path in (data / "cosmos55k/train").glob("Derm*_mask.png"))[:count]
    for name in names:
        stem = name.removesuffix("_mask")
        for what, where in zip(("", "_mask"), pattern, strict=True):
            target = source / where.format(stem)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / f"cosmos55k/train/{stem}{what}.png", target)
    return len(names)


@pytest.mark.parametrize(
    "pattern",
    [
        ("{}.png", "{}_mask.png"),
        ("images/{}.png", "masks/{}.png"),
        ("imgs/train/{}.png", "gt/train/{}_seg.png"),
        ("a masked folder/image/{}.png", "a masked folder/label/{}.png"),
        ("images/{}_mask.png", "masks/{}_mask.png"),
        ("{}_mask.png", "{}_mask_mask.png"),
        ("{}_unmasked.png", "{}_unmasked_GT.png"),
    ],
)
def test_layouts(convert, data, tmp_path, pattern):
    source = tmp_path / "my masks"
    count = moved(data, source, pattern)
    done = convert("cosmos55k", source, "--folds", 2)
    assert (done.code, done.summary["training"], done.summary["orphans"]) == (0, count, 0)
    for case in done.json("conversion_report.json")["cases"]:
        picture, mask = (np.asarray(Image.open(source / file["path"])) for file in case["files"])
        assert picture.ndim == 3
        assert set(np.unique(mask)) <= {0, 255}


def test_names_that_become_one_name_get_numbers(convert, data, tmp_path):
    source = tmp_path / "odd names"
    for number, name in enumerate(("a b", "a-b", "ä-b", "sub/A b")):
        moved(data, tmp_path / str(number), ("{}.png", "{}_mask.png"), 1)
        for path in (tmp_path / str(number)).iterdir():
            target = source / f"{name}{'_mask' if path.stem.endswith('_mask') else ''}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
    done = convert("cosmos55k", source, "--split", "folds")
    assert (done.code, done.summary["training"]) == (0, 4)
    ids = [case["id"] for case in done.json("conversion_report.json")["cases"]]
    assert len({name.lower() for name in ids}) == 4


def test_missing_masks_do_not_shift_pairs(convert, copied):
    source = copied("cosmos55k")
    first = sorted((source / "train").glob("*_mask.png"))[0]
    first.unlink()
    (source / "train" / "Xray_lung_OpenIST_22-31-500-500-100.png").unlink()
    done = convert("cosmos55k", source)
    assert done.summary["training"] == 47
    assert len(done.summary["orphan_files"]) == 2
    for case in done.json("conversion_report.json")["cases"]:
        image, mask = (file["path"] for file in case["files"])
        assert mask == image.replace(".png", "_mask.png")


def test_lists_with_paths_of_another_machine(convert, copied):
    source = copied("cosmos55k")
    flat = source / "all"
    flat.mkdir()
    lists: dict[str, list[str]] = {}
    for part in ("train", "val", "test"):
        for path in sorted((source / part).iterdir()):
            os.replace(path, flat / path.name)
            if not path.stem.endswith("_mask"):
                lists.setdefault(part, []).append(f"/data/somebody/Cosmos55k/all/{path.name}")
    lists["train"] = [*lists["train"][1:], "/data/somebody/Cosmos55k/all/missing.png", lists["test"][0]]
    for part, lines in lists.items():
        (source / f"{part}.lst").write_text("\n".join(lines))
    done = convert("cosmos55k", source)
    summary = done.summary
    assert (summary["training"], summary["test"], summary["ignored"], summary["orphans"]) == (48, 42, 1, 1)
    assert "several lists: 1, such as" in summary["warnings"][0]


@pytest.mark.parametrize(
    ("stem", "group"),
    [
        ("CT_kidney_KiTS19_10036_135", "CT_kidney_KiTS19_10036"),
        ("CT_liver_MSD_mirrored_10068_15", "CT_liver_MSD_10068"),
        ("rotated_090_flipped_volume-12_slice_045", "volume-12"),
        ("BRATS_001_z033", "BRATS_001"),
        ("Kvasir-SEG_train_363", "Kvasir-SEG_train_363"),
        ("124-133-500-500-100", "124-133-500-500-100"),
        ("Image_08R", "Image_08"),
        ("10108-113", "10108"),
        ("vol 12 034", "vol 12"),
        ("P07.3", "P07"),
        ("2019-03-12", "2019-03-12"),
        ("1.3.6.1.4.1.9590.100", "1.3.6.1.4.1.9590.100"),
    ],
)
def test_group_from_the_name(stem, group):
    assert group_of(stem) == group


@pytest.mark.parametrize(
    ("form", "volumes", "groups"),
    [
        ("COVID-19_{1}", ("",), 3),
        ("DSB_2018_{1}", ("",), 3),
        ("case_{0}_{1}", ("1999", "2000", "2001"), 3),
        ("LIDC_{0}_{1}", ("1899", "2001", "2100"), 3),
    ],
)
def test_years_and_numbers_in_names(form, volumes, groups):
    """Numbers are part of a data set's name, or a volume's: only all names together tell."""
    by_name, _ = cosmos_names.groups_of(form.format(volume, number) for volume in volumes for number in range(3))
    assert len(set(by_name.values())) == groups


def test_names_that_may_be_slices_are_said():
    doubtful = [f"{volume:03d}_ax{number}" for volume in (1, 2) for number in (1, 2)]
    assert "such as 001_ax1 and 001_ax2, and each picture is its own group" in cosmos_names.groups_of(doubtful)[1][0]
    assert cosmos_names.groups_of(f"ISIC_{number:07d}" for number in range(30))[1] == []


@pytest.mark.parametrize("line", ["{0},{1}.png", "{0}\t{1}_mask.png", "{0} /there/{1}.png", "{1}.png {0}"])
def test_an_index_beside_a_name_that_is_a_number(convert, tmp_path, line):
    for number in range(6):
        for name in (f"{number}.png", f"{number}_mask.png"):
            pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3)).astype(np.uint8)
            Image.fromarray(np.eye(40, dtype=np.uint8) if "mask" in name else pixels).save(tmp_path / name)
    order = [4, 5, 3, 2, 1, 0]
    for part, numbers in (("train", order[:4]), ("test", order[4:])):
        lines = [line.format(index, number) for index, number in enumerate(numbers)]
        (tmp_path / f"{part}.txt").write_text("\n".join(lines))
    done = convert("cosmos55k", tmp_path)
    assert sorted(path.name for path in (done.folder / "imagesTs").iterdir()) == ["0_0000.png", "1_0000.png"]
    (tmp_path / "test.txt").write_text("0 1\n1 0\n")
    assert (
        "may mean two pictures, such as '0 1' in line 1" in convert("cosmos55k", tmp_path, "-d", 700).summary["error"]
    )


FORMS = {
    "splits.json": json.dumps({"train": ["p0", "p1", "p2"], "test": ["p3", "p4"]}),
    "test.json": json.dumps(["p3.png", "p4.png"]),
    "split.csv": "name,split\np0,train\np1,train\np3,test\np4,test",
    "parts.tsv": "p0\ttrain\np1\ttrain\np3\tval",
    "test": "p3\np4",
}


@pytest.mark.parametrize("name", FORMS)
def test_parts_in_a_form_that_is_not_read(convert, tmp_path, name):
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"p{number}.png")
        Image.fromarray(np.eye(40, dtype=np.uint8)).save(tmp_path / f"p{number}_mask.png")
    (tmp_path / "ages.csv").write_text("name,age\np0,30\np1,40\np3,50")
    assert convert("cosmos55k", tmp_path).code == 0
    (tmp_path / name).write_text(FORMS[name])
    done = convert("cosmos55k", tmp_path, "-d", 700)
    assert done.code == 2
    assert f"{name} lists" in done.summary["error"]
    assert "make the lists train.txt, val.txt and test.txt of it" in done.summary["error"]
    (tmp_path / "train.txt").write_text("p0\np1\np2")
    (tmp_path / "test.txt").write_text("p3\np4")
    done = convert("cosmos55k", tmp_path, "-d", 701)
    assert (done.summary["training"], done.summary["test"]) == (3, 2)
    assert any(f"{name} lists" in warning and "was not used" in warning for warning in done.summary["warnings"])


@pytest.mark.parametrize("folder", ["test_data", "Testset", "my test pictures", "02-testing"])
def test_folders_that_say_the_part_among_other_words(convert, tmp_path, folder):
    for number in range(6):
        place = tmp_path / ("train_data" if number < 4 else folder)
        place.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
        Image.fromarray(np.eye(40, dtype=np.uint8)).save(place / f"{number}_mask.png")
    done = convert("cosmos55k", tmp_path)
    assert (done.summary["training"], done.summary["test"]) == (4, 2)
    note = f"pictures in folders called {folder.lower()!r} count as the part test: 2"
    assert note in done.summary["warnings"]


def test_a_folder_called_test_counts_for_more_than_a_word_in_another(tmp_path):
    file = FoundFile(path=tmp_path / "test" / "Kvasir_train" / "1.png", root=tmp_path)
    assert cosmos_names.part_of(file) == "test"
    assert cosmos_names.part_notes([file]) == []


def test_an_ignore_label_is_said(convert, tmp_path):
    source = tmp_path / "Dataset007_Ignore"
    for name in ("imagesTr", "labelsTr"):
        (source / name).mkdir(parents=True)
    label = np.zeros((40, 40), np.uint8)
    label[5:20, 5:20], label[25:35, 5:20] = 1, 2
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(source / "imagesTr" / f"{number}_0000.png")
        Image.fromarray(label).save(source / "labelsTr" / f"{number}.png")
    description = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "object": 1, "ignore": 2},
        "file_ending": ".png",
    }
    (source / "dataset.json").write_text(json.dumps(description))
    warnings = convert("cosmos-style", source).summary["warnings"]
    assert "Dataset007_Ignore has an ignore label; in the slices it counts as background" in warnings


def test_slices_of_raw_data_sets(convert, data, raw):
    convert("lits", data / "lits")
    convert("lizard", data / "lizard", "--task", "classes")
    sources = [raw / "Dataset520_LiTS2017", raw / "Dataset518_LizardClasses"]
    done = convert("cosmos-style", *sources, "--slices", 3)
    assert done.code == 0
    cases = done.json("conversion_report.json")["cases"]
    livers = [case for case in cases if case["structure"] == "liver"]
    assert len(livers) == 9
    for case in livers:
        picture = io.imread(done.folder / f"imagesTr/{case['id']}_0000.png")
        inside = io.imread(done.folder / f"labelsTr/{case['id']}.png") == 1
        assert np.count_nonzero(inside) == case["voxels"]["1"] >= 64
        # By content: liver is 40 to 160 HU, and the window runs from -160 to 240.
        assert 120 < picture[inside].mean() < 205
        # The liver is on the patient's right, which is the left side of the picture. lits_028 has no orientation.
        if "lits_028" not in case["id"]:
            assert np.argwhere(inside)[:, 1].mean() < picture.shape[1] / 2
    groups = {case["id"]: case["group"] for case in cases}
    for fold in done.json("splits_final.json"):
        assert not {groups[name] for name in fold["train"]} & {groups[name] for name in fold["val"]}


def test_one_scan_in_two_raw_data_sets_is_one_group(convert, data, raw):
    """The samples of KiTS19 and LiTS have one scan in common, in different files, like the public sets."""
    convert("lits", data / "lits")
    convert("kits19", data / "kits19")
    done = convert("cosmos-style", raw / "Dataset519_KiTS2019", raw / "Dataset520_LiTS2017", "--slices", 10)
    rows = csv.DictReader((done.folder / "cases.csv").read_text().splitlines())
    groups = {row["group"] for row in rows if "case_00000" in row["id"] or "lits_001" in row["id"]}
    assert len(groups) == 1


def test_label_of_another_shape_in_a_raw_data_set(convert, data, raw):
    convert("lits", data / "lits", "--link", "copy")
    path = raw / "Dataset520_LiTS2017/imagesTr/lits_001_0000.nii"
    image = nibabel.Nifti1Image.from_bytes(path.read_bytes())
    nibabel.save(image.slicer[:, :, :5], path)
    done = convert("cosmos-style", raw / "Dataset520_LiTS2017", "--slices", 2)
    assert done.code == 1
    assert len(done.summary["refusals"]) == 3
    assert all("its label (30," in refusal["reason"] for refusal in done.summary["refusals"])


def test_a_folder_that_is_no_raw_data_set(convert, data):
    done = convert("cosmos-style", data / "lits")
    assert done.code == 2
    assert "dataset.json" in done.summary["error"]
