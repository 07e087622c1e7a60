"""``annotate preview``: slices as viewers show them, and outlines where the paint is."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from nnunet_tricks.annotation.axes import axial
from nnunet_tricks.annotation.paint import masks_of
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.cli import main
from nnunet_tricks.pictures.annotation.display import view_of
from tests.annotation.slicer import Part, save_segmentation
from tests.annotation.test_axes import ORDERS
from tests.annotation.world import CASES, DATASET, build, labels_of, save

CHOSEN = [2, 7, 12, 17]
BLUE = (31, 119, 180)
"""The colour of the first outline."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    raw = build(tmp_path, monkeypatch)
    assert main(["annotate", "select", str(raw), "--density", "0.2", "-o", str(tmp_path / "plan")]) == 0
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["cases"] = {case: plan["cases"][case] for case in CASES[:2]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "plan.csv").unlink()
    return tmp_path


def preview(place: Path, *words: object, expect: int = 0) -> None:
    start = ["annotate", "preview", str(place / "plan.json"), str(place / "raw" / DATASET), "-o", str(place / "drawn")]
    assert main([*start, *map(str, words)]) == expect


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as drawn:
        return np.asarray(drawn.convert("RGB")).astype(int)


def coloured(drawn: np.ndarray) -> np.ndarray:
    return (np.abs(drawn - BLUE) < 40).all(axis=2)


def test_the_right_is_left_and_anterior_is_on_top_in_all_orders_of_storage() -> None:
    """A mark in the patient's right front is in the picture's upper left corner; pixels keep their sizes."""
    marks = np.zeros((4, 5, 6), np.int16)
    marks[3, 4, :] = 1  # the axes of this array are right, anterior, superior
    upright = nibabel.Nifti1Image(marks, np.diag([0.5, 0.7, 3, 1]))
    for order, signs in ORDERS:
        stored = upright.as_reoriented(np.stack([[order.index(axis) for axis in range(3)], signs], 1))
        volume = axial(stored.affine, stored.shape)
        view = view_of(volume)
        picture = view.shown(volume.slices_first(np.asarray(stored.dataobj).transpose(2, 1, 0))[0])
        assert picture.shape == (5, 4)
        assert np.argwhere(picture).tolist() == [[0, 0]]
        assert (view.height, view.width) == pytest.approx((0.7, 0.5))


def test_each_volume_has_a_picture_and_paint_has_outlines_before_and_after_the_import(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preview(place)
    drawn = place / "drawn" / "case0.png"
    assert sorted(file.name for file in (place / "drawn").iterdir()) == [f"{case}.png" for case in CASES[:2]]
    plain = pixels(drawn)
    assert not coloured(plain).any()
    label = np.zeros((20, 12, 10), bool)
    label[CHOSEN] = labels_of(0)[CHOSEN] > 0
    image = place / "raw" / DATASET / "imagesTr" / "case0_0000.nii.gz"
    save_segmentation([Part("organ", label, 0, 1)], image, place / "painted" / "case0.seg.nrrd")
    preview(place, "--labels", place / "painted")
    before = coloured(pixels(drawn))
    # Paint is on the second and the third of four slices in a row.
    columns = np.flatnonzero(before[int(0.35 * len(before)) :].any(axis=0)) / before.shape[1]
    assert 0.25 < columns.min() < columns.max() < 0.75
    assert "no paint yet, so the picture has no outlines: case1" in capsys.readouterr().err
    words = [str(place / "plan.json"), str(place / "raw" / DATASET), str(place / "painted"), "--to", "610"]
    assert main(["annotate", "import", *words, "--name", "A", "--classes", "organ", "--channels", "CT"]) == 0
    preview(place, "--dataset", "610")
    np.testing.assert_array_equal(coloured(pixels(drawn)), before)


def test_paint_on_other_slices_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(labels_of(0), place / "painted" / "case0.nii.gz")
    preview(place, "--labels", place / "painted", "--window", -50, 50)
    assert "case0: paint is also on slices that were not selected, ITK-SNAP 5, 6, 7, 9" in capsys.readouterr().err
    preview(place, "--window", 50, 50, expect=2)
    assert "--window must be a lower and a higher intensity" in capsys.readouterr().err


def test_a_plan_of_other_images_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = json.loads((place / "plan.json").read_text())
    plan["cases"]["other"] = plan["cases"]["case0"]
    (place / "plan.json").write_text(json.dumps(plan))
    preview(place, expect=2)
    assert "has no image of other, which" in capsys.readouterr().err
    plan["cases"] = {"case0": {"slices": 40, "chosen": [39]}}
    (place / "plan.json").write_text(json.dumps(plan))
    preview(place, expect=2)
    assert "has 20 slices, and had 40 when they were selected" in capsys.readouterr().err


def test_segments_of_one_name_and_paint_of_none_have_outlines(place: Path) -> None:
    parts = [np.zeros((20, 12, 10), bool) for _ in range(3)]
    for number, part in enumerate(parts):
        part[CHOSEN, 2 + 3 * number, 2:8] = True
    image = place / "raw" / DATASET / "imagesTr" / "case0_0000.nii.gz"
    label = place / "painted" / "case0.seg.nrrd"
    save_segmentation([Part("organ", part, 0, value) for value, part in enumerate(parts[:2], 1)], image, label)
    volume = VolumeFile(image)
    (segment,) = masks_of(VolumeFile(label), volume.axial).items()
    np.testing.assert_array_equal(segment[1], parts[0] | parts[1])
    stored = SimpleITK.ReadImage(str(label))
    for key in [key for key in stored.GetMetaDataKeys() if key.startswith("Segment1_")]:
        stored.EraseMetaData(key)
    SimpleITK.WriteImage(stored, str(label))
    masks = masks_of(VolumeFile(label), volume.axial)
    assert [*masks] == ["organ", "value 2"]
    np.testing.assert_array_equal(masks["value 2"], parts[1])


def test_a_name_has_one_colour_in_all_pictures_and_many_names_fit(place: Path) -> None:
    """The first case has other paint than the second, whose class keeps its colour; long names have rows."""
    values = np.zeros((20, 12, 10), np.uint8)
    values[CHOSEN, 4:8, 2:6] = 2
    save(values // 2, place / "painted" / "case0.nii.gz")
    save(values, place / "painted" / "case1.nii.gz")
    preview(place, "--labels", place / "painted")
    assert coloured(pixels(place / "drawn" / "case0.png")).any()
    assert not coloured(pixels(place / "drawn" / "case1.png")).any()
    before = pixels(place / "drawn" / "case0.png").shape
    image = place / "raw" / DATASET / "imagesTr" / "case0_0000.nii.gz"
    (place / "painted" / "case0.nii.gz").unlink()
    parts = [Part(f"segment with a very long name, {value}", values == value, 0, value) for value in range(2, 14)]
    save_segmentation(parts, image, place / "painted" / "case0.seg.nrrd")
    preview(place, "--labels", place / "painted")
    after = pixels(place / "drawn" / "case0.png")
    extra = after.shape[0] - before[0]
    assert extra > 0
    assert after.shape[1] == before[1]
    assert (after[: 75 + extra, -5:] == 255).all()


def test_the_plan_without_its_ending_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotate", "preview", str(place / "plan"), str(place / "raw" / DATASET)]) == 2
    assert f"plan is not a file: give {place / 'plan.json'}" in capsys.readouterr().err
