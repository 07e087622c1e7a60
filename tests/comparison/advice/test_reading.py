"""What is measured of a data set, and what the command says of it: raw, preprocessed, with few labels, and broken."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from skimage import io

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.advice.advise import advise
from nnunet_tricks.comparison.advice.measuring import objects_of, position_asymmetry, position_entropy
from nnunet_tricks.comparison.advice.reading import read_figures
from nnunet_tricks.comparison.advice.writing import text_of
from nnunet_tricks.comparison.ledger.rows import Ledger
from nnunet_tricks.comparison.traits import of_object
from nnunet_tricks.experiment.spec import read_experiment
from nnunet_tricks.nnunet.folders import Folders


def test_objects_of_a_scene() -> None:
    mask = np.zeros((96, 96), bool)
    yy, xx = np.mgrid[:96, :96]
    for y, x in ((20, 20), (20, 41)):  # two discs of radius 9 with a gap of two pixels
        mask |= (yy - y) ** 2 + (xx - x) ** 2 <= 81
    mask[60:64, 5:90] = True  # a bar four pixels wide
    image = np.where(mask, 9.0, 1.0)[None].astype(np.float32)
    measured = objects_of(mask, image)
    assert measured is not None
    assert len(measured.volumes) == 3
    assert measured.near == 2
    assert measured.necks == 0
    assert measured.share == pytest.approx(mask.mean())
    assert measured.contrast > 1.5
    # The same joined by a bridge fall apart at it.
    mask[20, 20:42] = True
    joined = objects_of(mask)
    assert joined is not None
    assert (len(joined.volumes), joined.necks, joined.near) == (2, 1, 0)
    assert objects_of(np.zeros((8, 8), bool)) is None
    ring = np.zeros((16, 16), bool)
    ring[3:12, 3:12] = True
    ring[6:8, 6:8] = False
    known = objects_of(ring)
    assert known is not None
    assert known.has_holes


def test_places() -> None:
    generator = np.random.default_rng(0)
    uniform = [np.eye(1, 64, cell).reshape(8, 8) for cell in generator.integers(0, 64, 2000)]
    assert position_entropy(uniform) > 0.98
    assert position_asymmetry(uniform)[0] < 0.05
    corner = [np.eye(1, 64, 0).reshape(8, 8)] * 20
    assert position_entropy(corner) == 0
    assert position_asymmetry(corner)[0] == 1
    low = [
        np.eye(1, 64, 8 * int(row) + int(column)).reshape(8, 8)
        for row, column in generator.integers(0, (3, 8), (99, 2))
    ]
    distance, axis = position_asymmetry(low)
    assert axis == 2  # y, counted from the last axis
    assert distance > 0.4
    # The order of the cases hardly matters.
    assert position_asymmetry(sorted(low, key=lambda places: int(places.argmax())))[0] == pytest.approx(
        distance, abs=0.03
    )


def test_ignored_voxels_are_neither_background_nor_surroundings() -> None:
    mask, annotated = np.zeros((2, 20, 20), bool)
    annotated[:10] = True
    mask[4:8, 4:16] = True
    image = np.full((1, 20, 20), 5.0, np.float32)
    image[:, :10] += np.arange(20, dtype=np.float32)[:, None].T / 10
    image[:, mask] += 3
    image[:, ~annotated] = 100
    part = objects_of(mask, image, annotated)
    assert part is not None
    assert part.share == pytest.approx(48 / 200)
    cut = objects_of(mask[:10], image[:, :10])
    assert cut is not None
    assert (part.contrast, part.share) == (cut.contrast, cut.share)
    assert cut.contrast == pytest.approx(of_object(mask[:10], (1.0, 1.0), image[:, :10])["contrast"])
    # What nobody annotated is no hole, and an object without annotated surroundings has no contrast.
    ring = np.zeros((16, 16), bool)
    ring[3:12, 3:12] = True
    ring[6:8, 6:8] = False
    outside = np.ones((16, 16), bool)
    outside[6:8, 6:8] = False
    for known, has_holes in ((None, True), (outside, False)):
        measured = objects_of(ring, annotated=known)
        assert measured is not None
        assert measured.has_holes == has_holes
    alone = objects_of(ring, image[:, :16, :16], ring)
    assert alone is not None
    assert np.isnan(alone.contrast)
    assert alone.share == 1


def volumes(folder: Path, annotated: Callable[[int], list[int]], *, cases: int = 12) -> Folders:
    """Volumes of 20 slices with a box in slices 4 to 15, of which only some slices are annotated."""
    place = folder / "raw" / "Dataset012_Slices"
    (place / "imagesTr").mkdir(parents=True)
    (place / "labelsTr").mkdir()
    generator = np.random.default_rng(0)
    for case in range(cases):
        dense = np.zeros((20, 24, 24), np.uint8)
        dense[4:16, 2:10, 4:20] = 1
        image = dense * 50 + generator.normal(0, 20, dense.shape)
        labels = np.full_like(dense, 2)
        labels[annotated(case)] = dense[annotated(case)]
        for array, file in (
            (image.astype(np.float32), f"imagesTr/c{case:02d}_0000"),
            (labels, f"labelsTr/c{case:02d}"),
        ):
            sitk.WriteImage(sitk.GetImageFromArray(array), str(place / f"{file}.nii.gz"))
    labels_of_file = {"background": 0, "box": 1, "ignore": 2}
    (place / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "MRI"}, "labels": labels_of_file, "file_ending": ".nii.gz"})
    )
    return Folders(folder / "raw", folder / "preprocessed", folder / "results")


def test_sparse_labels_are_told_and_not_taken_for_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    sparse = read_figures("12", volumes(tmp_path / "sparse", lambda case: [5, 10]), seconds=3600)
    dense = read_figures("12", volumes(tmp_path / "dense", lambda case: list(range(20))), seconds=3600)
    assert (sparse.unannotated, sparse.slices, dense.unannotated, dense.slices) == (0.9, 0.1, 0.0, 1.0)
    # Both annotated slices have the box: 128 of 576 pixels; of all slices, 12 of 20 have.
    assert sparse.classes[0].share == sparse.foreground == pytest.approx(128 / 576)
    assert dense.classes[0].share == dense.foreground == pytest.approx(0.6 * 128 / 576)
    assert sparse.classes[0].contrast == pytest.approx(dense.classes[0].contrast, abs=0.2)
    # Figures of pieces are not known, so rules on objects and their places are silent.
    assert np.isnan(
        [getattr(sparse.classes[0], name) for name in ("count", "small", "near", "asymmetry", "entropy")]
    ).all()
    assert {advised.trick for advised in advise(sparse, Ledger()).tricks} == {
        "SparseSlices",
        "DA5",
        "Oversample_fraction0p66",
        "MeanTeacher",
    }
    assert {"NoMirroring", "KeepLargest", "FillHoles"} <= {advised.trick for advised in advise(dense, Ledger()).tricks}
    for kind in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{kind}", str(tmp_path / "sparse" / kind))
    assert main(["advise", "12"]) == 0
    out = capsys.readouterr().out
    assert "90 % of an image is not annotated (median; 90 % on average), so objects are known in pieces only" in out
    assert "box: in 12 cases, 22 % of what is annotated, contrast" in out
    assert "nan" not in out


def test_a_thin_unknown_part_and_cases_without_annotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folders = volumes(tmp_path, lambda case: list(range(19)) if case else [])
    for kind in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{kind}", str(tmp_path / kind))
    figures = read_figures("12", folders, seconds=3600)
    assert (figures.blank, figures.labelled, figures.empty) == (1, 11, 0)
    assert figures.unannotated == pytest.approx(0.05)
    assert figures.unlabelled == pytest.approx((1 + 11 * 0.05) / 12)
    assert not figures.partial
    assert figures.classes[0].count == 1
    assert "MeanTeacher" in {advised.trick for advised in advise(figures, Ledger()).tricks}
    assert main(["advise", "12"]) == 0
    out = capsys.readouterr().out
    assert "Nothing is annotated in 1 of the cases that were read" in out
    assert "5 % of an image is not annotated (median; 5 % on average)." in out
    assert "every annotated case has some" in out
    folders = volumes(tmp_path / "blank", lambda case: [], cases=2)
    with pytest.raises(ValueError, match="all 2 cases of Dataset012_Slices that were read have the ignore label"):
        read_figures("12", folders)


def test_a_file_to_write_is_refused_before_anything_is_measured(folders: Folders, tmp_path: Path, capsys) -> None:
    for file in (tmp_path / "advice.txt", tmp_path / "absent" / "advice.yaml"):
        assert main(["advise", "9", "--write", str(file)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert f"--write is {file}" in captured.err


def test_a_data_set_without_its_description(folders: Folders, capsys) -> None:
    (folders.raw / "Dataset630_NoJson").mkdir()
    (folders.preprocessed / "Dataset631_NoJson").mkdir(parents=True)
    for number, place, fix in ((630, folders.raw, "write it"), (631, folders.preprocessed, "copy it")):
        assert main(["advise", str(number)]) == 2
        assert f"{place / f'Dataset{number}_NoJson' / 'dataset.json'} is not there: {fix}" in capsys.readouterr().err


def raw_data(folder: Path, *, name: str = "Dataset009_Made") -> Path:
    """Twenty pictures with small discs anywhere."""
    place = folder / "raw" / name
    (place / "imagesTr").mkdir(parents=True)
    (place / "labelsTr").mkdir()
    generator = np.random.default_rng(0)
    yy, xx = np.mgrid[:96, :96]
    for case in range(20):
        labels = np.zeros((96, 96), np.uint8)
        for y, x in generator.integers(4, 92, (6, 2)):
            labels[(yy - y) ** 2 + (xx - x) ** 2 <= 9] = 1
        image = (60 + 120 * labels[..., None] + generator.integers(0, 20, (96, 96, 3))).astype(np.uint8)
        io.imsave(place / "imagesTr" / f"c{case:02d}_0000.png", image, check_contrast=False)
        io.imsave(place / "labelsTr" / f"c{case:02d}.png", labels, check_contrast=False)
    description = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "spot": 1}}
    (place / "dataset.json").write_text(json.dumps({**description, "numTraining": 20, "file_ending": ".png"}))
    return folder


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    raw_data(tmp_path)
    for kind in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{kind}", str(tmp_path / kind))
    return Folders.of_environment()


def test_a_raw_data_set(folders: Folders) -> None:
    figures = read_figures("9", folders, seconds=3600)
    assert (figures.cases, figures.read, figures.dimension, figures.coloured) == (20, 20, 2, True)
    (spot,) = figures.classes
    assert spot.cases == 20
    assert 4 <= spot.count <= 6
    assert 20 <= spot.size <= 40
    assert spot.share == pytest.approx(6 * 29 / 96**2, rel=0.2)
    assert spot.contrast > 1
    assert figures.grey == 0
    few = read_figures("9", folders, seconds=1e-9)
    assert few.read == 3


def test_the_command_writes_an_experiment_that_can_be_read(folders: Folders, tmp_path: Path, capsys) -> None:
    file = tmp_path / "try.yaml"
    assert main(["advise", "9", "--write", str(file), "--epochs", "3", "--small", "--most", "20"]) == 0
    out = capsys.readouterr().out
    assert "EfficientNetLite0UNet_PretrainedImageNet1k" in out
    assert "96 x 96 voxels; " in out
    assert "every case has some (medians)" in out
    assert "papers:" in out
    assert "ledger:" in out
    experiment = read_experiment(file)
    (comparison,) = experiment.comparisons
    assert comparison.configurations == ("2d_light",)
    assert len(comparison.arms) > 2
    with pytest.raises(SystemExit, match="2"):
        main(["advise"])
    assert main(["advise", "9", "--write", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["advise", "9", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {entry["trick"] for entry in content["advice"]} <= set(content["considered"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["8"], "neither in"),
        (["9", "--most", "0"], "--most is 0"),
        (["9", "--seconds", "0"], "--seconds is 0"),
        (["9", "--write", "advice.txt"], r"\.yaml"),
        (["9", "--epochs", "0"], "--epochs is 0"),
    ],
)
def test_errors(words: list[str], message: str, folders: Folders, capsys) -> None:
    assert main(["advise", *words]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_preprocessed_volume_and_labels_that_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    place = tmp_path / "preprocessed" / "Dataset010_Volumes"
    (place / "nnUNetPlans_3d_fullres").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for case in range(4):
        labels = np.zeros((1, 12, 24, 24), np.int16)
        labels[0, 3:9, 4:16, 4:12] = 1
        labels[0, 0] = -1
        image = (labels > 0).astype(np.float32) + generator.normal(0, 0.1, labels.shape).astype(np.float32)
        np.savez(place / "nnUNetPlans_3d_fullres" / f"c{case}.npz", data=image, seg=labels)
        (place / "nnUNetPlans_3d_fullres" / f"c{case}.pkl").write_bytes(b"")
    plans = {
        "configurations": {"3d_fullres": {"data_identifier": "nnUNetPlans_3d_fullres", "spacing": [3.0, 1.0, 1.0]}}
    }
    (place / "nnUNetPlans.json").write_text(json.dumps(plans))
    (place / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "CT"}, "labels": {"background": 0, "box": 1}})
    )
    for kind in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{kind}", str(tmp_path / kind))
    figures = read_figures("10", Folders.of_environment())
    assert (figures.source, figures.ct, figures.anisotropy) == ("preprocessed", True, 3)
    (box,) = figures.classes
    assert box.size == 6 * 12 * 8
    assert box.asymmetry == 1
    # Axes that the plans have exchanged are named as in the files: x is now the first.
    (place / "nnUNetPlans.json").write_text(json.dumps({**plans, "transpose_backward": [1, 2, 0]}))
    turned = read_figures("10", Folders.of_environment())
    assert turned.shape == (24, 24, 12)
    assert turned.spacing == (1, 1, 3)
    assert (box.axis, turned.classes[0].axis) == (1, 2)
    (place / "nnUNetPlans.json").write_text(json.dumps(plans))
    assert box.single == 1
    raw = tmp_path / "raw" / "Dataset011_Odd"
    (raw / "imagesTr").mkdir(parents=True)
    (raw / "labelsTr").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 9, 9), np.float32)), str(raw / "imagesTr" / "a_0000.nii.gz"))
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 8, 9), np.uint8)), str(raw / "labelsTr" / "a.nii.gz"))
    (raw / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "box": 1}, "file_ending": ".nii.gz"})
    )
    assert main(["advise", "11"]) == 2
    assert "a: the image has shape (4, 9, 9), its label (4, 8, 9)" in capsys.readouterr().err
    # What is written for volumes.
    advice = advise(figures, Ledger())
    text = text_of(advice, "my name", most=9, epochs=1000, small=False)
    assert "configurations: [3d_fullres]" in text
    assert "name: my_name" in text
