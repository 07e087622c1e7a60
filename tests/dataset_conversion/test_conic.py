"""CoNIC and Lizard: maps, instances, rims, groups."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from scipy.io import loadmat, savemat
from skimage import io

from dataset_conversion.nuclei import rim_map

EVERY_NEIGHBOUR = np.ones((3, 3))


def rows(folder):
    return [line for line in (folder / "patch_info.csv").read_text().splitlines()[1:] if line]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("nuclei", lambda maps: maps[..., 1] > 0),
        ("classes", lambda maps: maps[..., 1]),
        ("boundary", lambda maps: rim_map(maps[..., 0])),
    ],
)
def test_each_task_writes_its_map(convert, data, task, expected):
    done = convert("conic", data / "conic", "--task", task)
    assert (done.code, done.summary["training"]) == (0, 23)
    # The sample's classes agree with its counts.csv, so there is no warning.
    assert done.summary["warnings"] == []
    images, labels = np.load(data / "conic/images.npy"), np.load(data / "conic/labels.npy")
    for number, patch in enumerate(rows(data / "conic")):
        name = f"conic_{number:05d}_{patch}"
        np.testing.assert_array_equal(io.imread(done.folder / f"imagesTr/{name}_0000.png"), images[number])
        np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{name}.png"), expected(labels[number]))
        np.testing.assert_array_equal(io.imread(done.folder / f"instancesTr/{name}.png"), labels[number, ..., 0])


@pytest.mark.parametrize(("split", "count"), [("folds", 5), ("mediseg", 5), ("source", 3)])
def test_patches_of_one_image_stay_together(convert, data, split, count):
    done = convert("conic", data / "conic", "--split", split)
    folds = done.json("splits_final.json")
    assert len(folds) == count
    tests = done.json("splits_test.json").values() if split == "mediseg" else [[]] * count
    for fold, test in zip(folds, tests, strict=True):
        parts = [{name.rpartition("-")[0][12:] for name in ids} for ids in (fold["train"], fold["val"], test)]
        assert not parts[0] & parts[1]
        assert not (parts[0] | parts[1]) & parts[2]
        assert parts[0]
        assert parts[1]


@given(arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)))
def test_inside_of_one_nucleus_never_touches_another(instances):
    rims = rim_map(instances)
    np.testing.assert_array_equal(rims > 0, instances > 0)
    pieces, count = ndimage.label(rims == 1, structure=EVERY_NEIGHBOUR)
    for piece in range(1, count + 1):
        assert len(np.unique(instances[pieces == piece])) == 1


def changed(copied, change):
    source = copied("conic")
    labels = np.load(source / "labels.npy")
    change(labels)
    np.save(source / "labels.npy", labels)
    return source


def test_classes_in_another_order_are_noticed(convert, copied):
    def swap(labels):
        labels[..., 1] = np.array([0, 2, 3, 4, 5, 1, 6])[labels[..., 1]]

    done = convert("conic", changed(copied, swap))
    assert any("another order" in warning for warning in done.summary["warnings"])


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [((3, 0, 0, 1), 7, "value(s) 7"), ((3, 0, 0, 0), 999, "instance without a class")],
)
def test_maps_that_contradict_each_other_are_refused(convert, copied, place, value, reason):
    def spoil(labels):
        labels[3, 0, 0] = 0
        labels[place] = value
        if place[-1] == 1:
            labels[3, 0, 0, 0] = 999

    done = convert("conic", changed(copied, spoil))
    assert (done.code, done.summary["training"]) == (1, 22)
    assert reason in done.reason("conic_00003_dpath_2-0001")


def test_without_patch_info_there_is_no_split_that_does_not_leak(convert, copied):
    source = copied("conic")
    (source / "patch_info.csv").unlink()
    done = convert("conic", source)
    assert done.code == 2
    assert "leak" in done.summary["error"]


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_arrays_that_were_cut_off(convert, copied, name):
    source = copied("conic")
    path = source / name
    path.write_bytes(path.read_bytes()[:-1000])
    done = convert("conic", source)
    assert done.code == 2
    assert "cut off" in done.summary["error"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("patch_info.csv", "consep_1-0000\n", "no column 'patch_info'"),
        ("counts.csv", "a,b\n1,\n", "does not hold counts"),
    ],
)
def test_tables_that_are_something_else(convert, copied, name, text, message):
    source = copied("conic")
    (source / name).write_text(text)
    done = convert("conic", source)
    assert done.code == 2
    assert message in done.summary["error"]


def test_lizard_instances_and_classes(convert, data):
    done = convert("lizard", data / "lizard", "--task", "classes", "--split", "thirds")
    assert done.code == 0
    content = loadmat(data / "lizard/lizard_labels/Lizard_Labels/Labels/dpath_1.mat")
    written = io.imread(done.folder / "labelsTr/lizard_dpath_1.png")
    for number, kind in zip(content["id"].ravel(), content["class"].ravel(), strict=True):
        assert set(written[content["inst_map"] == number]) <= {kind}
    np.testing.assert_array_equal(written > 0, content["inst_map"] > 0)
    instances = io.imread(done.folder / "instancesTr/lizard_dpath_1.png")
    np.testing.assert_array_equal(instances, content["inst_map"])
    assert [fold["val"] for fold in done.json("splits_final.json")] == [["lizard_dpath_1"], ["lizard_dpath_2"]]


def test_lizard_nucleus_without_a_class_and_overlays(convert, copied):
    source = copied("lizard")
    path = source / "lizard_labels/Lizard_Labels/Labels/dpath_2.mat"
    content = loadmat(path)
    kept = {key: content[key] for key in ("inst_map", "id", "class")}
    savemat(path, kept | {"id": content["id"][1:], "class": content["class"][1:]})
    (source / "lizard_labels/Lizard_Labels/Overlay").mkdir()
    picture = source / "lizard_images1/Lizard_Images1/dpath_1.png"
    shutil.copyfile(picture, source / "lizard_labels/Lizard_Labels/Overlay/dpath_1.png")
    done = convert("lizard", source)
    assert (done.code, done.summary["training"]) == (1, 1)
    assert "without a class: 1" in done.reason("lizard_dpath_2")


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_instances_are_found_whatever_the_format(convert, data, ending):
    from nnunet_tricks.tricks.targets.instances import FOLDER, instance_map

    done = convert("conic", data / "conic", "--format", ending)
    assert done.code == 0
    labels = np.load(data / "conic/labels.npy")
    for number, patch in enumerate(rows(data / "conic")[:3]):
        path = instance_map(done.folder / FOLDER, f"conic_{number:05d}_{patch}", f".{ending}")
        np.testing.assert_array_equal(io.imread(path), labels[number, ..., 0])
