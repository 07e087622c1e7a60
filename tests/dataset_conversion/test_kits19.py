"""KiTS19: layouts, tasks, alignment by content."""

from __future__ import annotations

import csv
import gzip
import os
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK


def test_sample_converts_and_aligns_by_content(convert, data):
    done = convert("kits19", data / "kits19")
    assert done.code == 0
    assert (done.summary["training"], done.summary["test"], done.summary["refused"]) == (4, 1, 0)
    image = nibabel.load(done.folder / "imagesTr/case_00000_0000.nii.gz")
    label = nibabel.load(done.folder / "labelsTr/case_00000.nii.gz")
    values, labels = np.asanyarray(image.dataobj), np.asanyarray(label.dataobj)
    assert labels.dtype == np.uint8
    # The one real CT of the sample, without contrast. Flipped along any axis, the spread is above 50.
    kidney, tumor = values[labels == 1], values[labels == 2]
    assert 0 < kidney.mean() < 40
    assert kidney.std() < 30
    # The tumor was drawn in, at 55 HU.
    assert 45 < tumor.mean() < 65


@pytest.mark.parametrize("case", ["case_00000", "case_00010", "case_00015", "case_00021"])
def test_every_reader_sees_one_grid(convert, data, case):
    done = convert("kits19", data / "kits19", "--exclude", "none")
    image = done.folder / f"imagesTr/{case}_0000.nii.gz"
    label = done.folder / f"labelsTr/{case}.nii.gz"
    np.testing.assert_array_equal(nibabel.load(image).affine, nibabel.load(label).affine)
    scan, mask = SimpleITK.ReadImage(str(image)), SimpleITK.ReadImage(str(label))
    assert scan.GetSize() == mask.GetSize()
    assert scan.GetDirection() == mask.GetDirection()
    assert scan.GetOrigin() == mask.GetOrigin()
    assert scan.GetSpacing() == mask.GetSpacing()


@pytest.mark.parametrize(("folder", "test", "warned"), [("imagesTs", ["case_00010"], False), ("test", [], True)])
def test_cases_that_somebody_set_aside(convert, copied, folder, test, warned):
    """Test cases of nnU-Net's layout stay test cases; other folders have no meaning, and a warning says so."""
    source = copied("kits19")
    (source / folder).mkdir()
    os.rename(source / "data/case_00010/imaging.nii.gz", source / folder / "case_00010_0000.nii.gz")
    done = convert("kits19", source)
    names = sorted(path.name[:10] for path in (done.folder / "labelsTs").glob("*"))
    assert names == test
    assert (done.code, done.case("case_00010")["part"]) == (0, "test" if test else "train")
    assert any("1 labelled cases lie in folders called 'test'" in text for text in done.summary["warnings"]) == warned


def test_images_are_linked_not_copied(convert, copied):
    source = copied("kits19")
    done = convert("kits19", source)
    original = source / "data/case_00000/imaging.nii.gz"
    assert (done.folder / "imagesTr/case_00000_0000.nii.gz").samefile(original)
    assert done.summary["actions"]["images: hard link"] == 5


@pytest.mark.parametrize("link", ["symbolic", "copy"])
def test_other_ways_to_link(convert, copied, link):
    source = copied("kits19")
    done = convert("kits19", source, "--link", link)
    path = done.folder / "imagesTr/case_00000_0000.nii.gz"
    assert path.is_symlink() == (link == "symbolic")
    assert path.read_bytes() == (source / "data/case_00000/imaging.nii.gz").read_bytes()


@pytest.mark.parametrize(
    ("task", "mapping", "labels"),
    [
        ("native", [0, 1, 2], {"background": 0, "kidney": 1, "tumor": 2}),
        ("kidney", [0, 1, 1], {"background": 0, "kidney": 1}),
        ("kidney_only", [0, 1, 0], {"background": 0, "kidney": 1}),
        ("tumor", [0, 0, 1], {"background": 0, "tumor": 1}),
        ("regions", [0, 1, 2], {"background": 0, "kidney": [1, 2], "tumor": 2}),
    ],
)
def test_tasks_write_what_they_say(convert, data, task, mapping, labels):
    done = convert("kits19", data / "kits19", "--task", task)
    described = done.json("dataset.json")
    assert described["labels"] == labels
    assert described.get("regions_class_order") == ([1, 2] if task == "regions" else None)
    assert described["channel_names"] == {"0": "CT"}
    assert described["numTraining"] == 4
    source = np.asanyarray(nibabel.load(data / "kits19/data/case_00010/segmentation.nii.gz").dataobj)
    written = np.asanyarray(nibabel.load(done.folder / "labelsTr/case_00010.nii.gz").dataobj)
    np.testing.assert_array_equal(written, np.array(mapping)[source])


def test_table_counts_voxels(convert, data):
    done = convert("kits19", data / "kits19")
    rows = {row["id"]: row for row in csv.DictReader((done.folder / "cases.csv").open())}
    labels = np.asanyarray(nibabel.load(data / "kits19/data/case_00021/segmentation.nii.gz").dataobj)
    row = rows["case_00021"]
    assert int(row["voxels_kidney"]) == np.count_nonzero(labels == 1)
    assert int(row["voxels_tumor"]) == np.count_nonzero(labels == 2)
    assert row["source"] == "data/case_00021/imaging.nii.gz"
    assert rows["case_00210"]["voxels_tumor"] == ""


def test_papers_exclusions_are_written_down(convert, data):
    done = convert("kits19", data / "kits19", "--exclude", "mediseg", "--exclude", "case_00021")
    assert done.summary["excluded"] == 2
    assert set(done.json("dataset.json")["excluded"]) >= {"case_00015", "case_00021"}
    assert not (done.folder / "imagesTr/case_00015_0000.nii.gz").exists()


def test_unknown_exclusion_is_refused_with_what_is_allowed(convert, data):
    done = convert("kits19", data / "kits19", "--exclude", "medisec")
    assert done.code == 2
    assert "mediseg" in done.summary["error"]


def test_labels_from_git_and_images_from_hugging_face(convert, copied, tmp_path):
    source = copied("kits19")
    flat = tmp_path / "hf" / "images"
    flat.mkdir(parents=True)
    for image in source.glob("data/*/imaging.nii.gz"):
        os.replace(image, flat / f"{image.parent.name}.nii.gz")
    done = convert("kits19", source, flat.parent)
    assert (done.summary["training"], done.summary["test"]) == (4, 1)
    assert done.case("case_00000")["files"][0]["path"] == "hf/images/case_00000.nii.gz"


FLAT = [
    ("{}_imaging", "{}_segmentation"),
    ("imagesTr/{}_0000", "labelsTr/{}"),
    ("images/{}", "ground_truth/{}"),
    ("{0}/imaging.nii/imaging", "{0}/segmentation.nii/segmentation"),
]


@pytest.mark.parametrize("names", FLAT)
def test_flat_copies(convert, data, tmp_path, names):
    source = tmp_path / "flat"
    # Somebody's predictions are neither images nor labels.
    (source / "predictions").mkdir(parents=True)
    shutil.copyfile(data / "kits19/data/case_00000/segmentation.nii.gz", source / "predictions/case_00000.nii.gz")
    for case in ("case_00000", "case_00010"):
        for name, role in zip(names, ("imaging", "segmentation"), strict=True):
            target = source / f"{name.format(case)}.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / f"kits19/data/{case}/{role}.nii.gz", target)
    assert convert("kits19", source).summary["training"] == 2


def test_plain_and_gzip_files_mixed_get_one_ending(convert, copied):
    source = copied("kits19")
    packed = source / "data/case_00010/imaging.nii.gz"
    packed.with_name("imaging.nii").write_bytes(gzip.decompress(packed.read_bytes()))
    before = np.asanyarray(nibabel.load(packed).dataobj).copy()
    packed.unlink()
    done = convert("kits19", source)
    assert done.code == 0
    written = nibabel.load(done.folder / "imagesTr/case_00010_0000.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), before)
    assert {path.name.partition(".")[2] for path in done.folder.glob("*Tr/*")} == {"nii.gz"}


def test_orphans_of_both_kinds_are_listed(convert, copied):
    source = copied("kits19")
    (source / "data/case_00010/imaging.nii.gz").unlink()
    (source / "data/case_00021/segmentation.nii.gz").unlink()
    done = convert("kits19", source)
    assert done.code == 0
    assert done.summary["orphan_files"] == ["data/case_00010/segmentation.nii.gz", "data/case_00021/imaging.nii.gz"]


def test_cyst_label_means_another_challenge(convert, copied):
    source = copied("kits19")
    path = source / "data/case_00010/segmentation.nii.gz"
    image = nibabel.load(path)
    labels = np.asanyarray(image.dataobj).copy()
    labels[0, 0, 0] = 3
    nibabel.save(nibabel.Nifti1Image(labels, image.affine, image.header), path)
    done = convert("kits19", source)
    assert done.code == 1
    assert "KiTS21" in done.reason("case_00010")
    assert done.summary["training"] == 3
