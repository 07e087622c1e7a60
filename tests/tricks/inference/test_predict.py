"""Predictions of trained models, beside those of nnU-Net itself."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from numpy.typing import NDArray

from nnunet_tricks.cli import main
from nnunet_tricks.door.lookup import find_trainer, findable

Model = tuple[Path, Path]


def read(file: Path) -> NDArray[np.float64]:
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))), np.float64)


def predict(model: Model, out: Path, *words: str) -> int:
    fixed = ["-i", str(model[1]), "-o", str(out), "-m", str(model[0]), "-device", "cpu", "-npp", "0", "-nps", "0"]
    return main(["predict", *fixed, "--disable_progress_bar", *words])


def stock(model: Model, out: Path, *, mirroring: bool, folds: tuple[int, ...] = (0, 1), step: float = 0.5) -> None:
    out.mkdir()
    with findable(find_trainer("nnUNetTrainerNoDeepSupervision")):
        predictor = nnUNetPredictor(
            tile_step_size=step, use_mirroring=mirroring, device=torch.device("cpu"), allow_tqdm=False
        )
        predictor.initialize_from_trained_model_folder(str(model[0]), folds, "checkpoint_final.pth")
    predictor.predict_from_files_sequential(str(model[1]), str(out), save_probabilities=True)


def same(first: Path, second: Path) -> None:
    files = sorted(file.name for file in first.iterdir() if file.suffix in (".npz", ".gz", ".png"))
    assert files
    assert [name for name in files if (second / name).is_file()] == files
    for name in files:
        if name.endswith(".npz"):
            ours, theirs = (np.load(folder / name)["probabilities"] for folder in (first, second))
            assert np.allclose(ours, theirs, atol=1e-3)
        else:
            assert np.mean(read(first / name) != read(second / name)) < 1e-3


@pytest.mark.parametrize("kind", ["volumes", "slices"])
@pytest.mark.parametrize("mirroring", [True, False])
def test_mirror_and_none_are_nnunets_own(
    kind: str, mirroring: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: Model = request.getfixturevalue(kind)
    assert predict(model, tmp_path / "ours", "--save_probabilities", *([] if mirroring else ["--disable_tta"])) == 0
    stock(model, tmp_path / "theirs", mirroring=mirroring)
    same(tmp_path / "ours", tmp_path / "theirs")


def test_more_views_change_the_prediction_and_say_what_they_cost(
    slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(slices, tmp_path / "out", "--tta", "identity,flip0,gamma1p2", "--save_probabilities") == 0
    said = capsys.readouterr().out
    assert "with 3 views (identity, flip0, gamma1p2):" in said
    assert "s per case" in said
    stock(slices, tmp_path / "theirs", mirroring=False)
    name = next((tmp_path / "out").glob("*.npz")).name
    ours, theirs = (np.load(tmp_path / folder / name)["probabilities"] for folder in ("out", "theirs"))
    assert np.allclose(ours.sum(0), 1, atol=1e-3)
    assert not np.allclose(ours, theirs, atol=1e-4)
    record = json.loads((tmp_path / "out" / "nnunet_tricks_prediction.json").read_text())
    assert record["settings"]["tta"] == "identity,flip0,gamma1p2"
    assert all(seconds > 0 for seconds in record["seconds"].values())


@pytest.mark.parametrize("kind", ["volumes", "slices"])
def test_thresholds_are_those_of_the_probabilities(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model: Model = request.getfixturevalue(kind)
    names = [name for name in json.loads((model[0] / "dataset.json").read_text())["labels"] if name != "background"]
    words = ["--tta", "none", "--save_probabilities"]
    assert predict(model, tmp_path / "half", *words) == 0
    for threshold in ("0.001", "0.999"):
        assert predict(model, tmp_path / threshold, *words, "--threshold", threshold) == 0
    for file in (tmp_path / "half").glob("*.npz"):
        case = file.stem
        probabilities = np.load(file)["probabilities"]
        assert np.allclose(probabilities, np.load(tmp_path / "0.001" / file.name)["probabilities"], atol=1e-3)
        shown = [
            next(file for file in (tmp_path / folder).glob(f"{case}.*") if file.suffix in (".gz", ".png"))
            for folder in ("0.999", "half", "0.001")
        ]
        sizes = [np.count_nonzero(read(file)) for file in shown]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2]
    assert predict(model, tmp_path / "named", *words, "--threshold", f"{names[0]}=0.999") == 0


def test_uncertainty_writes_maps_in_the_images_grid_and_the_doubtful_cases_first(
    volumes: Model, tmp_path: Path
) -> None:
    assert predict(volumes, tmp_path / "out", "--uncertainty", "--save_probabilities", "--tta", "none") == 0
    for name in ("entropy", "disagreement"):
        files = sorted((tmp_path / "out" / name).iterdir())
        assert len(files) == len(list(volumes[1].glob("*_0000.nii.gz")))
        for file in files:
            image, map_of_case = SimpleITK.ReadImage(str(volumes[1] / file.name.replace(".nii", "_0000.nii"))), file
            written = SimpleITK.ReadImage(str(map_of_case))
            assert written.GetSize() == image.GetSize()
            assert written.GetSpacing() == pytest.approx(image.GetSpacing())
            assert written.GetOrigin() == pytest.approx(image.GetOrigin())
            values = read(file)
            assert 0 <= values.min() <= values.max() <= 1.001
            assert values.max() > 0
    with (tmp_path / "out" / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["entropy"]) for row in rows] == sorted((float(row["entropy"]) for row in rows), reverse=True)
    # One model alone cannot disagree.
    assert predict(volumes, tmp_path / "alone", "--uncertainty", "--tta", "none", "-f", "0") == 0
    assert not (tmp_path / "alone" / "disagreement").exists()
    assert (tmp_path / "alone" / "entropy").is_dir()


def test_a_prediction_goes_on_where_it_was_killed(slices: Model, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(slices, out, "--tta", "none") == 0
    files = sorted(out.glob("*.png"))
    before = {file.name: file.read_bytes() for file in files}
    files[0].unlink()
    (out / f".{files[0].name.removesuffix('.png')}.partial.png").write_bytes(b"half a fi")
    kept = {file.name: file.stat().st_mtime_ns for file in files[1:]}
    assert predict(slices, out, "--tta", "none", "--continue_prediction") == 0
    assert {file.name: file.read_bytes() for file in sorted(out.glob("*.png"))} == before
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == kept
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--tta", "none"], "already: continue with --continue_prediction, or --overwrite"),
        (["--tta", "mirror", "--continue_prediction"], "was made with tta none, and now it is mirror"),
        (["--tta", "none", "-f", "0", "--continue_prediction"], "was made with folds"),
    ],
)
def test_a_folder_never_mixes_old_and_new(
    words: list[str], reason: str, slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(slices, out, "--tta", "none") == 0
    assert predict(slices, out, *words) == 2
    assert reason in capsys.readouterr().err
    assert predict(slices, out, *words[:2], "--overwrite") == 0


def test_somebody_elses_results_are_not_touched(
    slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock(slices, tmp_path / "out", mirroring=False)
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert predict(slices, tmp_path / "out", "--continue_prediction") == 2
    assert "does not say how it was predicted" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_images_are_never_deleted(slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = shutil.copytree(slices[1], tmp_path / "images")
    before = sorted(images.iterdir())
    assert predict((slices[0], images), images, "--overwrite") == 2
    assert "is the folder of the images: give another one" in capsys.readouterr().err
    assert predict(slices, images, "--overwrite") == 2
    assert "does not say how it was predicted: give another folder\n" in capsys.readouterr().err
    assert predict(slices, before[0]) == 2
    assert "is a file, and the results need a folder" in capsys.readouterr().err
    assert sorted(images.iterdir()) == before


def test_a_damaged_image_is_named_and_the_others_stay(
    slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, out = shutil.copytree(slices[1], tmp_path / "images"), tmp_path / "out"
    first, last = sorted(images.iterdir())
    whole = last.read_bytes()
    last.write_bytes(whole[:50])
    assert predict((slices[0], images), out, "--tta", "none") == 2
    assert f"{last} cannot be read" in capsys.readouterr().err
    assert [file.name for file in out.glob("*.png")] == [first.name.replace("_0000", "")]
    last.write_bytes(whole)
    assert predict((slices[0], images), out, "--tta", "none", "--continue_prediction") == 0
    assert len(list(out.glob("*.png"))) == 2


def test_parts_share_a_folder(slices: Model, tmp_path: Path) -> None:
    assert predict(slices, tmp_path / "whole", "--tta", "none") == 0
    for part in ("0", "1"):
        (tmp_path / "parts").mkdir(exist_ok=True)
        # What another part is writing at this moment.
        busy = tmp_path / "parts" / ".case_99.partial7.png"
        busy.touch()
        assert predict(slices, tmp_path / "parts", "--tta", "none", "-num_parts", "2", "-part_id", part) == 0
        assert busy.exists()
    same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-step_size", "1.5"], "step is 1.5, and must be above 0 and at most 1"),
        (["--threshold", "1.2"], "threshold of all classes is 1.2, and must lie between 0 and 1"),
        (["--threshold", "spleen=0.3"], "threshold names 'spleen', and the model has"),
        (["--tta", "mirorr"], "has the part 'mirorr'"),
        (["-f", "7"], "has no fold_7"),
        (["-num_parts", "2", "-part_id", "2"], "part_id is 2, and must be from 0 to 1"),
        (["--tta-batch", "many"], "--tta-batch is 'many', and must be auto or a number from 1"),
        (["-device", "tpu"], "device is 'tpu', and must be cpu, cuda or mps"),
        (["--tta", "identity,flip0,flip0"], "has the view 'flip0' twice"),
        (["--tta", "gamma0"], "has gamma 0, which leaves nothing of the image"),
        (["-num_parts", "2", "--overwrite"], "--overwrite would delete what the other parts have written"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_written(
    words: list[str], reason: str, slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(slices, tmp_path / "out", *words) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_data_set_that_is_not_there_is_named(
    slices: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "-i", str(slices[1]), "-o", str(tmp_path / "out"), "-d", "999", "-c", "2d"]
    monkeypatch.setattr("nnunetv2.paths.nnUNet_results", None)
    assert main(words) == 2
    assert "nnUNet_results is not set" in capsys.readouterr().err
    monkeypatch.setattr("nnunetv2.paths.nnUNet_results", str(tmp_path))
    assert main(words) == 2
    assert "there is no data set 999" in capsys.readouterr().err


def test_a_missing_channel_is_named(slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    model = (slices[0], tmp_path / "images")
    assert predict(model, tmp_path / "out") == 2
    assert "has no image of the form CASE_0000" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(slices, tmp_path / "out", "--dry-run", "--tta", "mediseg") == 0
    assert "Would predict" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
