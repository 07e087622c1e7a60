"""The command, and what stock nnU-Net makes of what it stores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.postprocessing.remove_connected_components import apply_postprocessing_to_folder

from nnunet_tricks.cli import main

READER = {"image_reader_writer": "SimpleITKIO", "plans_name": "nnUNetPlans", "configurations": {}}


def write(file: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 2.0, 3.0)) -> None:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(file))


def read(file: Path) -> np.ndarray:
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "predicted"
    made.mkdir()
    (made / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "kidney": 1, "tumor": 2}, "file_ending": ".nii.gz"})
    )
    (made / "plans.json").write_text(json.dumps(READER))
    generator = np.random.default_rng(0)
    for case in "abc":
        write(made / f"{case}.nii.gz", generator.choice(3, (9, 10, 11), p=[0.8, 0.15, 0.05]).astype(np.uint8))
    return made


def test_stock_nnunet_does_the_same_with_what_is_stored(folder: Path, tmp_path: Path) -> None:
    words = ["--steps", "kidney:KeepLargest_count2", "tumor:RemoveSmall_voxels3_into1", "foreground:FillHoles"]
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert main(["postprocess", str(folder), str(tmp_path / "ours"), *words]) == 0
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    functions, keywords = load_pickle(str(tmp_path / "ours" / "postprocessing.pkl"))
    apply_postprocessing_to_folder(str(folder), str(tmp_path / "theirs"), functions, keywords, num_processes=1)
    for case in "abc":
        ours, theirs = (read(tmp_path / name / f"{case}.nii.gz") for name in ("ours", "theirs"))
        assert np.array_equal(ours, theirs)
        assert not np.array_equal(ours, read(folder / f"{case}.nii.gz"))
    written = json.loads((tmp_path / "ours" / "postprocessing.json").read_text())
    assert written["postprocessing_fns"] == ["keep_largest", "remove_small", "fill_holes"]


def test_sizes_in_mm3_are_each_images_own_and_are_not_stored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lesion = np.zeros((5, 5, 5), np.uint8)
    lesion[2, 2, 1:4] = 1
    write(folder / "a.nii.gz", lesion, (1.0, 1.0, 1.0))
    write(folder / "b.nii.gz", lesion, (2.0, 2.0, 2.0))
    assert main(["postprocess", str(folder), str(tmp_path / "out"), "--steps", "RemoveSmall_volume10"]) == 0
    assert "no postprocessing.pkl was written" in capsys.readouterr().out
    assert not read(tmp_path / "out" / "a.nii.gz").any()
    assert read(tmp_path / "out" / "b.nii.gz").any()
    assert not (tmp_path / "out" / "postprocessing.pkl").exists()


def test_resume_repeats_nothing_and_other_steps_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["postprocess", str(folder), str(out), "--steps"]
    assert main([*command, "KeepLargest"]) == 0
    (out / "b.nii.gz").unlink()
    kept = (out / "a.nii.gz").stat().st_mtime_ns
    assert main([*command, "KeepLargest"]) == 2
    assert main([*command, "KeepLargest", "--continue", "-np", "2"]) == 0
    assert (out / "a.nii.gz").stat().st_mtime_ns == kept
    assert main([*command, "FillHoles", "--continue"]) == 2
    assert "was made with steps ['KeepLargest'], and now it is ['FillHoles']" in capsys.readouterr().err
    assert main([*command, "FillHoles", "--overwrite"]) == 0


def test_bad_folders_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    shutil.copytree(folder, empty, ignore=shutil.ignore_patterns("*.nii.gz"))
    for source, out, reason in (
        (folder, folder, "give another one for the results"),
        (tmp_path / "none", tmp_path / "out", "is no folder"),
        (empty, tmp_path / "out", "has no segmentation that ends in .nii.gz"),
    ):
        assert main(["postprocess", str(source), str(out), "--steps", "KeepLargest"]) == 2
        assert reason in capsys.readouterr().err
        assert source == folder or not out.exists()
    assert main(["postprocess", str(folder), str(tmp_path / "out"), "--steps", "KeepLargest", "--dry-run"]) == 0
    assert not (tmp_path / "out").exists()
