"""``annotate sparsify``: what training cases keep, what stays dense, and which plans there are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_tricks.cli import main
from tests.annotation.world import CASES, DATASET, array, build, labels_of, plans, save

SPARSE = "Dataset601_Toy_fixed0p2"


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return build(tmp_path, monkeypatch)


def sparsify(*words: object, expect: int = 0) -> None:
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2", *map(str, words)]) == expect


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_training_cases_keep_their_slices_and_all_others_everything(raw: Path) -> None:
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    sparsify("--fold", 2)
    made = raw.parent / SPARSE
    (fold,) = read(made / "splits_final.json")
    stock = generate_crossval_split(CASES)[2]
    assert fold == {"train": [*map(str, stock["train"])], "val": [*map(str, stock["val"])]}
    for case in fold["train"]:
        expected = np.full((20, 12, 10), 3, np.uint8)
        for index in (2, 7, 12, 17):
            expected[index] = labels_of(int(case[4:]))[index]
        written = array(made / "labelsTr" / f"{case}.nii.gz")
        assert written.dtype == np.uint8
        np.testing.assert_array_equal(written, expected)
    for case in fold["val"]:
        np.testing.assert_array_equal(array(made / "labelsTr" / f"{case}.nii.gz"), labels_of(int(case[4:])))
    np.testing.assert_array_equal(array(made / "labelsTs" / "test.nii.gz"), labels_of(99))
    for file in [*(made / "imagesTr").iterdir(), *(made / "imagesTs").iterdir()]:
        assert file.is_symlink()
        assert file.resolve() == raw / file.parent.name / file.name
    description = read(made / "dataset.json")
    assert description["labels"] == {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
    assert description["numTraining"] == 10
    assert sorted(path.name for path in raw.parent.iterdir()) == [DATASET, SPARSE]


def test_the_manifest_says_what_was_done_and_hashes_what_was_written(raw: Path) -> None:
    sparsify()
    made = raw.parent / SPARSE
    manifest = read(made / "sparse_manifest.json")
    assert (manifest["source"], manifest["policy"], manifest["density"], manifest["ignore"]) == (
        DATASET,
        "fixed",
        0.2,
        3,
    )
    assert manifest["budget"]["slices"] == 8 * 4
    for case, entry in manifest["cases"].items():
        assert (entry["annotation"] == "sparse") == (entry.get("chosen") == [2, 7, 12, 17])
        for folder, file, key in (("imagesTr", f"{case}_0000", "images_sha256"), ("labelsTr", case, "label_sha256")):
            digest = hashlib.sha256((made / folder / f"{file}.nii.gz").read_bytes()).hexdigest()
            assert digest == (entry[key][0] if folder == "imagesTr" else entry[key])


def test_plans_are_those_of_the_dense_data_set(raw: Path) -> None:
    sparsify()
    folder = raw.parents[1] / "preprocessed" / SPARSE
    assert read(folder / "nnUNetPlans.json") == {**plans(), "dataset_name": SPARSE}
    assert read(folder / "dataset.json")["labels"]["ignore"] == 3
    assert read(folder / "splits_final.json") == read(raw.parent / SPARSE / "splits_final.json")


def test_cases_that_are_not_chosen_are_left_out(raw: Path) -> None:
    sparsify("--volumes", 0.5)
    made = raw.parent / f"{SPARSE}_volumes0p5"
    (fold,) = read(made / "splits_final.json")
    assert len(fold["train"]) == 4
    assert sorted(path.name for path in (made / "labelsTr").iterdir()) == sorted(
        f"{case}.nii.gz" for case in fold["train"] + fold["val"]
    )


@pytest.mark.parametrize(
    ("direction", "axis", "reverse"),
    [
        ([[1, 0, 0], [0, 1, 0], [0, 0, -1]], 0, True),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], 2, False),
        ([[1, 0, 0], [0, 0, 1], [0, -1, 0]], 1, True),
    ],
)
def test_slices_run_from_feet_to_head_in_any_storage_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    direction: list[list[int]],
    axis: int,
    reverse: bool,
) -> None:
    raw = build(tmp_path, monkeypatch, direction=direction)
    sparsify()
    made = raw.parent / SPARSE
    case = read(made / "splits_final.json")[0]["train"][0]
    written, dense = array(made / "labelsTr" / f"{case}.nii.gz"), labels_of(int(case[4:]))
    length = dense.shape[axis]
    expected = [(2 * number + 1) * length // (2 * round(0.2 * length)) for number in range(round(0.2 * length))]
    stored = sorted(length - 1 - index if reverse else index for index in expected)
    others = tuple(other for other in range(3) if other != axis)
    assert np.flatnonzero((written != 3).any(axis=others)).tolist() == stored
    np.testing.assert_array_equal(np.take(written, stored, axis), np.take(dense, stored, axis))
    configurations = read(tmp_path / "preprocessed" / SPARSE / "nnUNetPlans.json")["configurations"]
    assert [*configurations] == (["2d", "3d_fullres"] if axis == 0 else ["3d_fullres"])
    assert ("left out 2d" in capsys.readouterr().err) == (axis != 0)


def test_slices_that_resampling_loses_are_counted(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = raw.parents[1] / "preprocessed" / DATASET / "nnUNetPlans.json"
    file.write_text(json.dumps(plans(spacing=6.0)))  # every second slice goes: 2 and 12 of 2, 7, 12, 17
    sparsify("--dry-run")
    assert "3d_fullres: resampling to fewer slices loses about 16 of 32 annotated slices" in capsys.readouterr().err


def test_regions_get_the_value_beyond_all_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    regions = {"background": 0, "organ": [1, 2], "lesion": 2}
    raw = build(tmp_path, monkeypatch, labels=regions, regions_class_order=[1, 2])
    sparsify()
    description = read(raw.parent / SPARSE / "dataset.json")
    assert description["labels"] == {**regions, "ignore": 3}
    assert description["regions_class_order"] == [1, 2]


def test_a_dry_run_writes_nothing_and_a_number_is_used_once(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sparsify("--dry-run", "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["name"], report["ignore"], report["train"], report["validation"]) == (SPARSE, 3, 8, 2)
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]
    sparsify()
    sparsify(expect=2)
    assert "number 601 is taken" in capsys.readouterr().err


def test_a_volume_whose_object_was_not_hit_is_named(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = np.zeros((20, 12, 10), np.uint8)
    label[4] = 1
    for case in CASES[:8]:
        save(label, raw / "labelsTr" / f"{case}.nii.gz")
    sparsify()
    assert "shows a class: these cases train the background only" in capsys.readouterr().err
    manifest = read(raw.parent / SPARSE / "sparse_manifest.json")
    assert not all(entry.get("shows_object", True) for entry in manifest["cases"].values())


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"background": 0, "organ": 1, "lesion": 3}, "without gaps, got [0, 1, 3]"),
        (
            {"background": 0, "organ": 1, "lesion": 2, "ignore": 9},
            "'ignore' of dataset.json must have the highest value, 3",
        ),
        ({"background": 0, "organ": 1}, "has the value(s) 2; dataset.json names 0, 1"),
    ],
)
def test_labels_that_nnunet_would_refuse_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    labels: dict[str, int],
    reason: str,
) -> None:
    raw = build(tmp_path, monkeypatch, labels=labels)
    sparsify(expect=2)
    assert reason in capsys.readouterr().err
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]
    assert [path.name for path in (tmp_path / "preprocessed").iterdir()] == [DATASET]


def test_what_is_missing_is_said(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sparsify("--fold", 5, expect=2)
    assert "fold must be from 0 to 4, got 5" in capsys.readouterr().err
    (raw / "labelsTr" / "case3.nii.gz").unlink()
    sparsify(expect=2)
    assert "no image or label of case3" in capsys.readouterr().err
    (raw.parents[1] / "preprocessed" / DATASET / "nnUNetPlans.json").unlink()
    save(labels_of(3), raw / "labelsTr" / "case3.nii.gz")
    sparsify(expect=2)
    assert "first run 'nnUNetv2_plan_and_preprocess -d 501'" in capsys.readouterr().err


def partly_ignored(raw: Path, slices: list[int]) -> None:
    """Leave other slices of the data set without annotation; ``dataset.json`` has the ignore label."""
    for case in CASES:
        label = np.full((20, 12, 10), 3, np.uint8)
        label[slices] = labels_of(int(case[4:]))[slices]
        save(label, raw / "labelsTr" / f"{case}.nii.gz")


IGNORING = {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}


def test_slices_that_nobody_annotated_are_neither_chosen_nor_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = build(tmp_path, monkeypatch, labels=IGNORING)
    annotated = [1, 6, 9, 10, 15, 19]
    partly_ignored(raw, annotated)
    for policy in ("fixed", "random", "ual"):
        sparsify("--density", 0.5, "--policy", policy, "--dry-run", "--json")
        printed = capsys.readouterr()
        assert json.loads(printed.out)["budget"]["slices"] == 8 * 3
        assert "are not annotated on all slices, but on 48 of 160: slices were chosen among these" in printed.err
    sparsify("--density", 0.5)
    made = raw.parent / "Dataset601_Toy_fixed0p5"
    manifest = read(made / "sparse_manifest.json")
    assert manifest["budget"]["density"] == 3 / 20
    for case in read(made / "splits_final.json")[0]["train"]:
        assert manifest["cases"][case]["chosen"] == [6, 10, 19]
        label = array(made / "labelsTr" / f"{case}.nii.gz")
        assert np.flatnonzero((label != 3).any(axis=(1, 2))).tolist() == [6, 10, 19]


def test_interpolation_takes_wholly_annotated_slices_and_leaves_nothing_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnunet_tricks.annotation.interpolation import interpolate

    raw = build(tmp_path, monkeypatch, labels=IGNORING)
    dense = labels_of(0)
    label = dense.copy()
    label[7, :, :3] = 3
    for case in CASES:
        save(label, raw / "labelsTr" / f"{case}.nii.gz")
    sparsify()
    assert main(["annotate", "interpolate", "601", "--to", "602"]) == 0
    printed = capsys.readouterr().err
    assert "8 selected slices are annotated in part: masks were made without them" in printed
    assert "have voxels that nobody annotated, and stay as they are" in printed
    made = raw.parent / "Dataset602_Toy_fixed0p2_sdf"
    case = read(made / "splits_final.json")[0]["train"][0]
    expected = interpolate(label, [2, 12, 17], spacing=(0.9, 0.8))
    expected[7, :, 3:] = dense[7, :, 3:]
    filled = array(made / "labelsTr" / f"{case}.nii.gz")
    np.testing.assert_array_equal(filled, expected)
    assert not (filled == 3).any()


def test_a_case_without_a_wholly_annotated_slice_is_not_interpolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = build(tmp_path, monkeypatch, labels=IGNORING)
    for case in CASES:
        label = labels_of(int(case[4:]))
        label[:, 0, 0] = 3
        save(label, raw / "labelsTr" / f"{case}.nii.gz")
    sparsify()
    assert main(["annotate", "interpolate", "601", "--to", "602"]) == 2
    assert "masks are made between wholly annotated slices, and" in capsys.readouterr().err
    save(np.full((20, 12, 10), 3, np.uint8), raw / "labelsTr" / "case1.nii.gz")
    assert main(["annotate", "sparsify", "501", "--to", "603", "--density", "0.2"]) == 2
    assert "case1.nii.gz has no annotated voxel" in capsys.readouterr().err


def test_few_cases_without_a_split_file_say_what_to_do(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case in CASES[4:]:
        (raw / "imagesTr" / f"{case}_0000.nii.gz").unlink()
        (raw / "labelsTr" / f"{case}.nii.gz").unlink()
    sparsify(expect=2)
    assert "nnU-Net makes none of 4 cases" in capsys.readouterr().err
