"""nnU-Net's folders with a data set that has names but no voxels: what is done is told by files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_tricks.nnunet.folders import Folders

DATASET = "Dataset901_Toy"
CASES = [f"case_{number:02d}" for number in range(10)]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """A raw data set of ten cases and two test cases; nothing planned."""
    made = Folders(tmp_path / "raw", tmp_path / "preprocessed", tmp_path / "results")
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    raw = made.raw / DATASET
    for part, cases in (("Tr", CASES), ("Ts", ["test_0", "test_1"])):
        for kind, ending in (("images", "_0000.nii.gz"), ("labels", ".nii.gz")):
            (raw / f"{kind}{part}").mkdir(parents=True)
            for case in cases:
                (raw / f"{kind}{part}" / f"{case}{ending}").write_text(case)
    (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz", "numTraining": len(CASES)}))
    return made


@pytest.fixture
def preprocessed(folders: Folders) -> Folders:
    """The same, planned, preprocessed and split."""
    folder = folders.preprocessed / DATASET
    (folder / "gt_segmentations").mkdir(parents=True)
    (folder / "nnUNetPlans_3d_fullres").mkdir()
    for case in CASES:
        (folder / "gt_segmentations" / f"{case}.nii.gz").write_text(case)
        (folder / "nnUNetPlans_3d_fullres" / f"{case}.pkl").write_text(case)
    plans = {
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "patch_size": [16, 16, 16],
                "median_image_size_in_voxels": [24, 24, 24],
            },
            "3d_fullres_wide": {"inherits_from": "3d_fullres", "patch_size": [24, 24, 24]},
        }
    }
    (folder / "nnUNetPlans.json").write_text(json.dumps(plans))
    splits = [{"train": CASES[2:], "val": CASES[:2]}, {"train": CASES[:2] + CASES[4:], "val": CASES[2:4]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    return folders


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[str], Path]:
    """Writes an experiment file."""

    def write(text: str) -> Path:
        file = tmp_path / "experiment.yaml"
        file.write_text(text)
        return file

    return write
