"""``annotate import``: labels as annotators save them, and which of them are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_tricks.annotation.axes import axial
from nnunet_tricks.annotation.placing import turned_like
from nnunet_tricks.cli import main
from tests.annotation.test_axes import ORDERS, SHAPE, SPACING, stored_as
from tests.annotation.world import CASES, array, build, labels_of, plans, save

PAINTED = "Dataset610_Painted"
CHOSEN = [2, 7, 12, 17]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images, a plan for them, and the labels of three cases, painted with the values 1 and 7."""
    raw = build(tmp_path, monkeypatch)
    assert main(["annotate", "select", str(raw), "--density", "0.2", "-o", str(tmp_path / "plan")]) == 0
    for case in CASES[:3]:
        save(painted(case), tmp_path / "painted" / f"{case}.nii.gz")
    return tmp_path


def painted(case: str) -> np.ndarray:
    label = np.zeros((20, 12, 10), np.int16)
    label[CHOSEN] = np.array([0, 1, 7])[labels_of(int(case[4:]))[CHOSEN]]
    return label


def run(place: Path, *words: object, classes: str = "organ=1 lesion=7", expect: int = 0) -> None:
    images = place / "raw" / "Dataset501_Toy"
    start = ["annotate", "import", str(place / "plan.json"), str(images), str(place / "painted")]
    rest = ["--to", "610", "--name", "Painted", "--channels", "CT", "--classes", *classes.split()]
    assert main([*start, *rest, *map(str, words)]) == expect


def expected(case: str) -> np.ndarray:
    label = np.full((20, 12, 10), 3, np.uint8)
    label[CHOSEN] = labels_of(int(case[4:]))[CHOSEN]
    return label


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_painted_slices_become_labels_and_all_others_are_ignored(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place)
    made = place / "raw" / PAINTED
    for case in CASES[:3]:
        np.testing.assert_array_equal(array(made / "labelsTr" / f"{case}.nii.gz"), expected(case))
        assert (made / "imagesTr" / f"{case}_0000.nii.gz").is_symlink()
    assert read(made / "dataset.json") == {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "organ": 1, "lesion": 2, "ignore": 3},
        "file_ending": ".nii.gz",
        "numTraining": 3,
    }
    manifest = read(made / "sparse_manifest.json")
    assert manifest["painted_values"] == {"1": 1, "7": 2}
    assert {case: entry["chosen"] for case, entry in manifest["cases"].items()} == dict.fromkeys(CASES[:3], CHOSEN)
    printed = capsys.readouterr()
    assert "6 selected slices have no paint and count as background: case0 (ITK-SNAP 3, 18)" in printed.err
    assert "7 selected cases have no label map" in printed.err
    assert "painted values became 7 -> 2" in printed.out
    assert "-fpe DatasetFingerprintExtractorAnnotated" in printed.out
    assert main(["annotate", "interpolate", "610", "--to", "611"]) == 0


def test_labels_that_a_viewer_stored_in_another_order_are_turned_back(place: Path) -> None:
    file = place / "painted" / "case1.nii.gz"
    image = nibabel.load(file)
    turned = image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    assert turned.shape != image.shape
    nibabel.save(turned, file)
    run(place)
    np.testing.assert_array_equal(array(place / "raw" / PAINTED / "labelsTr" / "case1.nii.gz"), expected("case1"))


def test_all_orders_are_turned_into_all_others() -> None:
    marks = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    wanted = nibabel.Nifti1Image(marks.astype(np.int32), np.diag([*SPACING, 1]))
    for order, signs in ORDERS:
        orientation = np.stack([[order.index(axis) for axis in range(3)], signs], 1)
        stored = wanted.as_reoriented(orientation)
        current, target = (axial(image.affine, image.shape) for image in (stored, wanted))
        back = turned_like(np.asarray(stored.dataobj).transpose(2, 1, 0), current, target)
        assert back is not None
        np.testing.assert_array_equal(back.transpose(2, 1, 0), marks)
    assert stored_as((0, 1, 2), (1, 1, 1)).shape == SHAPE


@pytest.mark.parametrize("slice_", [0, 3, 19])
def test_other_slices_must_not_be_painted(place: Path, capsys: pytest.CaptureFixture[str], slice_: int) -> None:
    label = painted("case2")
    label[slice_, 4, 4] = 1
    save(label, place / "painted" / "case2.nii.gz")
    run(place, expect=2)
    assert f"painted that were not selected, in case2 (ITK-SNAP {slice_ + 1})" in capsys.readouterr().err
    assert not (place / "raw" / PAINTED).exists()


def test_cases_on_which_nothing_was_painted_are_not_done_unless_one_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(np.zeros((20, 12, 10), np.int16), place / "painted" / "case0.nii.gz")
    run(place, expect=2)
    assert "nothing was painted on case0" in capsys.readouterr().err
    run(place, "--accept-unpainted")
    label = array(place / "raw" / PAINTED / "labelsTr" / "case0.nii.gz")
    assert np.flatnonzero((label == 0).all(axis=(1, 2))).tolist() == CHOSEN


def test_values_names_grids_and_cases_must_fit(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(place, classes="organ", expect=2)
    assert "paint of no class is in case0 (value 7: 6 voxels)" in capsys.readouterr().err
    save(painted("case1"), place / "painted" / "case1.nii.gz", spacing=(0.8, 0.9, 3.1))
    run(place, expect=2)
    assert "does not have the voxels of its image" in capsys.readouterr().err
    save(painted("case1"), place / "painted" / "case1.nii.gz", direction=np.diag([-1, -1, 1]))
    run(place, expect=2)
    assert "has 60 painted voxels outside its image" in capsys.readouterr().err
    save(0.5 * painted("case1"), place / "painted" / "case1.nii.gz")
    run(place, expect=2)
    assert "is not a label map: some of its values are not whole numbers" in capsys.readouterr().err
    (place / "painted" / "case1.nii.gz").rename(place / "painted" / "other.nii.gz")
    run(place, expect=2)
    assert "label maps of other, which the plan does not name" in capsys.readouterr().err


def test_plans_must_be_plans_of_these_images(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = read(place / "plan.json")
    (place / "plan.json").write_text(json.dumps({**plan, "cases": {"case0": {"slices": 20, "chosen": [20]}}}))
    run(place, expect=2)
    assert "case case0 needs 'slices', and 'chosen'" in capsys.readouterr().err
    plan["cases"]["case1"]["slices"] = 40
    (place / "plan.json").write_text(json.dumps(plan))
    run(place, expect=2)
    assert "has 20 slices, and had 40 when slices were selected" in capsys.readouterr().err
    (place / "plan.json").write_text("[]")
    run(place, expect=2)
    assert "is not a plan that 'annotate select' wrote" in capsys.readouterr().err


def test_before_a_split_is_known_none_is_written(place: Path) -> None:
    """nnU-Net makes its split in the first training; until then only plans are copied."""
    run(place)
    preprocessed = place / "preprocessed" / PAINTED
    preprocessed.mkdir()
    (preprocessed / "nnUNetPlans.json").write_text(json.dumps({**plans(), "dataset_name": PAINTED}))
    (preprocessed / "dataset_fingerprint.json").write_text("{}")
    assert main(["annotate", "interpolate", "610", "--to", "611"]) == 0
    made = place / "preprocessed" / "Dataset611_Painted_sdf"
    assert sorted(file.name for file in made.iterdir()) == [
        "dataset.json",
        "dataset_fingerprint.json",
        "nnUNetPlans.json",
    ]


def test_images_in_capitals_are_linked_as_nnunet_wants_them(place: Path) -> None:
    images = place / "raw" / "Dataset501_Toy" / "imagesTr"
    for file in sorted(images.iterdir()):
        file.rename(file.with_name(file.name.replace(".nii.gz", ".NII.GZ")))
    run(place)
    made = place / "raw" / PAINTED
    assert sorted(file.name for file in (made / "imagesTr").iterdir()) == [f"{case}_0000.nii.gz" for case in CASES[:3]]
    assert read(made / "dataset.json")["file_ending"] == ".nii.gz"
