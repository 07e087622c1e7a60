"""``annotate import`` of what annotators really have: numbers, segments of 3D Slicer, slips, and reserved names."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from nnunet_tricks.annotation.classes import parsed
from nnunet_tricks.cli import main
from tests.annotation.slicer import Part, save_segmentation
from tests.annotation.world import CASES, DATASET, SHAPE, array, build, labels_of, save

MADE = "Dataset610_Painted"
TURNED = [[0, -1, 0], [0, 0, 1], [1, 0, 0]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images, stored in an unusual order, and a plan for them."""
    raw = build(tmp_path, monkeypatch, direction=TURNED)
    assert main(["annotate", "select", str(raw), "--density", "0.2", "-o", str(tmp_path / "plan")]) == 0
    return tmp_path


def chosen_of(place: Path, case: str) -> list[int]:
    return list(json.loads((place / "plan.json").read_text())["cases"][case]["chosen"])


def on_slices(values: np.ndarray, slices: list[int]) -> np.ndarray:
    """Keep some slices of a label map in the order of ``TURNED``; its slices run along the last axis."""
    kept = np.zeros_like(values)
    kept[..., slices] = values[..., slices]
    return kept


def run(place: Path, *words: object, classes: str = "organ lesion", expect: int = 0) -> None:
    images = place / "raw" / DATASET
    start = ["annotate", "import", str(place / "plan.json"), str(images), str(place / "painted")]
    rest = ["--to", "610", "--name", "Painted", "--channels", "CT", "--classes", *classes.split()]
    assert main([*start, *rest, *map(str, words)]) == expect


def made(place: Path, case: str = "case0") -> np.ndarray:
    return array(place / "raw" / MADE / "labelsTr" / f"{case}.nii.gz")


def image_of(place: Path, case: str = "case0") -> Path:
    return place / "raw" / DATASET / "imagesTr" / f"{case}_0000.nii.gz"


def save_painted(place: Path, values: np.ndarray, name: str = "case0.nii.gz") -> None:
    save(values, place / "painted" / name, direction=TURNED)


def expected(values: np.ndarray, slices: list[int]) -> np.ndarray:
    label = np.full(SHAPE, 3, np.uint8)
    label[..., slices] = values[..., slices]
    return label


def test_a_round_trip_of_itksnaps_and_3d_slicers_files_loses_no_voxel(place: Path) -> None:
    """``.nii.gz`` on the image's grid, ``.seg.nrrd`` cropped, with one layer and with two; names before numbers."""
    truths = {}
    for case in CASES[:3]:
        slices = chosen_of(place, case)
        truth = np.zeros(SHAPE, np.uint8)
        truth[4:9, 2:7, 2:9], truth[5:7, 3:5, 2:9] = 1, 2
        truth = truths[case] = on_slices(np.roll(truth, int(case[-1]), axis=0), slices)
        organ, lesion = truth == 1, truth == 2
        if case == "case0":
            save_painted(place, truth.astype(np.int16))
        elif case == "case1":
            parts = [Part("Lesion ", lesion, 0, 1), Part("organ", organ, 0, 2)]
            save_segmentation(parts, image_of(place, case), place / "painted" / f"{case}.seg.nrrd")
        else:
            parts = [Part("organ", organ, 0, 1), Part("lesion", lesion, 1, 1)]
            save_segmentation(parts, image_of(place, case), place / "painted" / f"{case}.seg.nrrd")
    assert array(place / "painted" / "case2.seg.nrrd").shape[-1] == 2
    assert array(place / "painted" / "case1.seg.nrrd").size < truths["case1"].size
    run(place)
    for case, truth in truths.items():
        np.testing.assert_array_equal(made(place, case), expected(truth, chosen_of(place, case)))
    entries = json.loads((place / "raw" / MADE / "sparse_manifest.json").read_text())["cases"]
    assert entries["case1"]["segments"] == {"Lesion ": 2, "organ": 1}
    assert (entries["case2"]["painted_file"], len(entries["case2"]["painted_sha256"])) == ("case2.seg.nrrd", 64)


@pytest.mark.parametrize("name", ["case0_0000.nii.gz", "case0.seg.nrrd", "CASE0_0000.seg.NRRD", "case0.NII.GZ"])
def test_names_of_images_and_of_segmentations_are_understood(place: Path, name: str) -> None:
    name = name.replace("CASE0", "case0")
    values = on_slices(labels_of(0), chosen_of(place, "case0"))
    ending = ".nrrd" if name.lower().endswith(".nrrd") else ".nii.gz"
    save_painted(place, values, f"any{ending}")
    (place / "painted" / f"any{ending}").rename(place / "painted" / name)
    run(place)
    np.testing.assert_array_equal(made(place), expected(values, chosen_of(place, "case0")))


def test_an_extra_slice_without_paint_is_no_harm_and_one_with_paint_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = chosen_of(place, "case0")
    values = on_slices(labels_of(0), slices)
    save_painted(place, np.concatenate([values, np.zeros_like(values[:1])]))
    run(place, "--dry-run")
    save_painted(place, np.concatenate([values, np.ones_like(values[:1])]))
    run(place, expect=2)
    assert "painted voxels outside its image" in capsys.readouterr().err


def test_classes_have_numbers_and_need_not_be_painted_yet(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slices = chosen_of(place, "case0")
    values = on_slices(np.array([0, 5, 0])[labels_of(0)].astype(np.int16), slices)
    save_painted(place, values)
    run(place, classes="lesion=9 organ=5")
    described = json.loads((place / "raw" / MADE / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
    np.testing.assert_array_equal(made(place), expected(values // 5, slices))
    assert "no label map shows lesion" in capsys.readouterr().err


@pytest.mark.parametrize(("slip", "shown"), [(3, "value 3: 1 voxel"), (-1, "value -1: 1 voxel")])
def test_values_of_no_class_are_refused_or_what_one_says(
    place: Path, capsys: pytest.CaptureFixture[str], slip: int, shown: str
) -> None:
    slices = chosen_of(place, "case0")
    values = on_slices((labels_of(0) > 0).astype(np.int16), slices)
    values[0, 0, slices[0]] = slip
    save_painted(place, values)
    run(place, classes="organ lesion", expect=2)
    assert f"paint of no class is in case0 ({shown})" in capsys.readouterr().err
    run(place, "--dry-run", "--other-values", "background")
    run(place, "--other-values", "ignore")
    assert made(place)[0, 0, slices[0]] == 3
    assert "count as not annotated: value" in capsys.readouterr().err
    assert (made(place)[..., slices] == 3).sum() == 1


def test_overlapping_segments_are_refused_or_of_the_higher_class(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slices = chosen_of(place, "case0")
    truth = on_slices(np.broadcast_to(np.uint8(1), SHAPE), slices)
    inner = on_slices((np.indices(SHAPE)[0] < 5).astype(np.uint8), slices)
    parts = [Part("organ", truth == 1, 0, 1), Part("lesion", inner == 1, 1, 1)]
    save_segmentation(parts, image_of(place), place / "painted" / "case0.seg.nrrd")
    run(place, expect=2)
    printed = capsys.readouterr().err
    assert f"two classes share voxels in case0 (organ and lesion: {np.count_nonzero(inner)} voxels; ITK-SNAP" in printed
    run(place, "--overlaps", "higher")
    np.testing.assert_array_equal(made(place), expected(truth + inner, slices))


def test_segments_that_are_no_classes_are_refused_by_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slices = chosen_of(place, "case0")
    truth = np.zeros(SHAPE, np.uint8)
    truth[4:9], truth[5:7] = 1, 2
    truth = on_slices(truth, slices)
    parts = [Part("organ", truth == 1, 0, 1), Part("Segment_2", truth == 2, 0, 2)]
    save_segmentation(parts, image_of(place), place / "painted" / "case0.seg.nrrd")
    run(place, expect=2)
    assert "case0 (segment 'Segment_2': " in capsys.readouterr().err
    parts = [Part("Segment_1", truth == 1, 0, 1), Part("Segment_2", truth == 2, 1, 1)]
    save_segmentation(parts, image_of(place), place / "painted" / "case0.seg.nrrd")
    run(place, expect=2)
    assert "none has the name of a class (organ, lesion): rename them in 3D Slicer" in capsys.readouterr().err
    parts = [Part("Segment_1", truth == 1, 0, 1), Part("Segment_2", truth == 2, 0, 2)]
    save_segmentation(parts, image_of(place), place / "painted" / "case0.seg.nrrd")
    run(place)
    np.testing.assert_array_equal(made(place), expected(truth, slices))


def test_vectors_without_names_and_films_say_what_to_do(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = SimpleITK.GetImageFromArray(np.zeros((*SHAPE, 2), np.uint8), isVector=True)
    two.CopyInformation(SimpleITK.ReadImage(str(image_of(place))))
    (place / "painted").mkdir()
    SimpleITK.WriteImage(two, str(place / "painted" / "case0.nrrd"))
    run(place, expect=2)
    assert "has 2 values per voxel, and does not say what they are" in capsys.readouterr().err
    (place / "painted" / "case0.nrrd").unlink()
    film = SimpleITK.GetImageFromArray(np.zeros((2, *SHAPE), np.uint8), isVector=False)
    SimpleITK.WriteImage(film, str(place / "painted" / "case0.nii.gz"))
    run(place, expect=2)
    assert "must have 3 axes, got 4 (10x12x20x2): save each channel or point in time" in capsys.readouterr().err


def test_two_label_maps_of_one_case_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = on_slices(labels_of(0), chosen_of(place, "case0"))
    for name in ("case0.nii.gz", "case0.seg.nrrd"):
        save_painted(place, values, name)
    run(place, expect=2)
    assert "two files of one case: case0.nii.gz and case0.seg.nrrd" in capsys.readouterr().err
    assert main(["annotate", "quality", str(place / "painted")]) == 2
    assert "two files of one case" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["ignore"], "must not have the name 'ignore'"),
        (["kidney=1", "Ignore=2"], "must not have the name 'Ignore'"),
        (["background"], "must not have the name 'background'"),
        (["a", "a"], "must each have a name and a number of their own, got name a"),
        (["a=1", "b=1"], "got number 1 more than once"),
        (["a=1", "b"], "must all have numbers, such as kidney=1 tumour=2, or none; 'b' has none"),
        (["a=0"], "must be 1 or more, got 0"),
        (["a=-1"], "must be 1 or more, got -1"),
        (["a=1.5"], "must be names, or names and whole numbers"),
        ([" "], "none of them empty"),
    ],
)
def test_classes_that_cannot_be_are_refused(words: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parsed(words)


def test_the_number_of_channels_must_be_that_of_the_images(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_painted(place, on_slices(labels_of(0), chosen_of(place, "case0")))
    run(place, "--channels", "CT", "PET", expect=2)
    assert "channels must name each channel, got 2 name(s)" in capsys.readouterr().err


def test_a_mark_of_bytes_and_an_edited_table_are_known(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_painted(place, on_slices(labels_of(0), chosen_of(place, "case0")))
    plan = place / "plan.json"
    plan.write_bytes(b"\xef\xbb\xbf" + plan.read_bytes())
    run(place, "--dry-run")
    assert "plan.csv" not in capsys.readouterr().err
    table = place / "plan.csv"
    lines = table.read_text().replace(",", ";").splitlines()
    first = lines[1].split(";")
    lines[1] = ";".join([*first[:2], "0", *first[3:]])
    table.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    run(place, "--dry-run")
    assert "plan.csv has other slices of case0 than plan.json, which alone counts" in capsys.readouterr().err
    # Annotators may change the numbers that ITK-SNAP or 3D Slicer show.
    for column, changed in ((5, "1"), (6, "-3,5")):
        cells = first.copy()
        cells[column] = changed
        table.write_text("\n".join([lines[0], ";".join(cells), *lines[2:]]))
        run(place, "--dry-run")
        assert "plan.csv has other slices of case0 than plan.json" in capsys.readouterr().err
    decimal = [";".join([*first[:-1], first[-1].replace(".", ",")]), *lines[2:]]
    table.write_text("\n".join([lines[0], *decimal]))
    run(place, "--dry-run")
    assert "plan.csv" not in capsys.readouterr().err
    table.write_text("nothing of the kind")
    run(place, "--dry-run")
    assert "plan.csv cannot be read as the table" in capsys.readouterr().err


def test_json_says_what_was_made_of_which_paint(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_painted(place, on_slices(labels_of(0), chosen_of(place, "case0")))
    capsys.readouterr()
    run(place, "--json")
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (report["classes"], report["channels"]) == ({"background": 0, "organ": 1, "lesion": 2}, 1)
    assert report["values"] == {"1": 1, "2": 2}


def test_layers_without_names_of_classes_keep_all_paint_and_say_what_numbers_made_of_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two layers with different values, and names that resemble those of classes, swapped."""
    slices = chosen_of(place, "case0")
    truth = np.zeros(SHAPE, np.uint8)
    truth[4:9], truth[5:7] = 1, 2
    truth = on_slices(truth, slices)
    parts = [Part("tumor", truth == 1, 0, 1), Part("kidneys", truth == 2, 1, 2)]
    save_segmentation(parts, image_of(place), place / "painted" / "case0.seg.nrrd")
    run(place, classes="kidney tumour")
    np.testing.assert_array_equal(made(place), expected(truth, slices))
    assert (
        "no segment of case0 has the name of a class, so numbers decided: 'tumor' is kidney, 'kidneys' is tumour"
        in capsys.readouterr().err
    )


def test_accents_may_be_stored_in_two_ways(place: Path) -> None:
    slices = chosen_of(place, "case0")
    truth = on_slices(np.full(SHAPE, 2, np.uint8), slices)
    save_segmentation(
        [Part("Gefa\u0308\u00df", truth == 2, 0, 1)], image_of(place), place / "painted" / "case0.seg.nrrd"
    )
    run(place, classes="organ Gef\u00e4\u00df")
    np.testing.assert_array_equal(made(place), expected(truth, slices))


def test_slices_of_no_class_throughout_do_not_count_as_annotated(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An annotator marks whole slices as unclear, and says that this means not annotated."""
    slices = chosen_of(place, "case0")
    values = on_slices(labels_of(0).astype(np.int16), slices)
    values[..., slices[0]] = 9
    save_painted(place, values)
    capsys.readouterr()
    run(place, "--other-values", "ignore")
    printed = capsys.readouterr()
    assert "1 case of 1 channel with 1 annotated slices" in printed.out
    warning = "1 selected slices are painted with no class throughout and count as not annotated: case0 (ITK-SNAP 3)"
    assert warning in printed.err
    manifest = json.loads((place / "raw" / MADE / "sparse_manifest.json").read_text())
    assert manifest["cases"]["case0"]["chosen"] == slices[1:]
    save_painted(place, on_slices(np.full(SHAPE, 9, np.int16), slices))
    run(place, "--to", "611", "--other-values", "ignore", "--accept-unpainted", expect=2)
    assert "all selected slices of case0 are painted with values" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5])
def test_numbers_that_are_not_whole_are_refused_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    values = on_slices(labels_of(0), chosen_of(place, "case0")).astype(np.float32)
    values[0, 0, 0] = value
    save_painted(place, values, "case0.nrrd")
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(place, expect=2)
    assert "is not a label map: some of its values are not whole numbers" in capsys.readouterr().err


def test_images_of_two_formats_are_named_before_anybody_paints(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(np.zeros(SHAPE, np.int16), place / "mixed" / "a.nii.gz")
    save(np.zeros(SHAPE, np.int16), place / "mixed" / "b.mha")
    assert main(["annotate", "select", str(place / "mixed"), "--density", "0.2", "--dry-run"]) == 0
    assert "images end in .mha, .nii.gz, and nnU-Net reads one format" in capsys.readouterr().err
