"""Intensities of sparse annotation: nnU-Net's fingerprint against ours, and both against the dense one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

from nnunet_tricks.catalogue.naming import IllegalName
from nnunet_tricks.door.kinds import answer
from nnunet_tricks.planning.fingerprint import NAME, find

PLACE = "nnunetv2.experiment_planning"
DENSE, SPARSE = "Dataset701_Dense", "Dataset702_Sparse"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An organ of 40 HU in air, of which every tenth slice is annotated."""
    generator = np.random.default_rng(0)
    for dataset, labels in (
        (DENSE, {"background": 0, "organ": 1}),
        (SPARSE, {"background": 0, "organ": 1, "ignore": 2}),
    ):
        place = tmp_path / "raw" / dataset
        (place / "imagesTr").mkdir(parents=True)
        (place / "labelsTr").mkdir()
        for case in ("a", "b"):
            label = np.zeros((30, 40, 40), np.uint8)
            label[3:27, 15:25, 15:25] = 1
            image = np.where(label, 40, -1000) + generator.normal(0, 8, label.shape)
            if dataset == SPARSE:
                label[np.arange(30) % 10 != 5] = 2
            for array, file in ((image, f"imagesTr/{case}_0000"), (label, f"labelsTr/{case}")):
                volume = SimpleITK.GetImageFromArray(array.astype(np.int16))
                SimpleITK.WriteImage(volume, str(place / f"{file}.nii.gz"))
        description = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 2, "file_ending": ".nii.gz"}
        (place / "dataset.json").write_text(json.dumps(description))
    monkeypatch.setattr(fingerprint_extractor, "nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setattr(fingerprint_extractor, "nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    return tmp_path


def fingerprint(extractor: type, dataset: str) -> dict[str, Any]:
    made = extractor(dataset, num_processes=1)
    made.num_foreground_voxels_for_intensitystats = 20_000  # of 100 million that two tiny volumes would be asked for
    return json.loads(json.dumps(made.run(overwrite_existing=True), default=list))


def test_ignored_voxels_are_no_foreground(folders: Path) -> None:
    ours, refusal = answer(PLACE, NAME)
    assert (ours, refusal) == (find(NAME), "")
    dense, trap, sparse = (
        fingerprint(extractor, dataset)
        for extractor, dataset in (
            (DatasetFingerprintExtractor, DENSE),
            (DatasetFingerprintExtractor, SPARSE),
            (ours, SPARSE),
        )
    )
    key = "foreground_intensity_properties_per_channel"
    # What nnU-Net does, so that this extractor goes when nnU-Net does better.
    assert trap[key]["0"]["mean"] < -800
    assert trap[key]["0"]["percentile_00_5"] < -1000
    assert sparse[key]["0"]["mean"] == pytest.approx(dense[key]["0"]["mean"], abs=1)
    assert sparse[key]["0"]["std"] == pytest.approx(dense[key]["0"]["std"], rel=0.1)
    assert sparse[key]["0"]["percentile_00_5"] == pytest.approx(dense[key]["0"]["percentile_00_5"], abs=5)
    assert {**sparse, key: None} == {**trap, key: None}


def test_without_an_ignore_label_it_is_refused(folders: Path) -> None:
    with pytest.raises(ValueError, match=f"{DENSE} has no label 'ignore': plan it without -fpe {NAME}"):
        fingerprint(find(NAME), DENSE)
    assert not (folders / "preprocessed" / DENSE / "dataset_fingerprint.json").exists()


def test_names_are_found_or_refused() -> None:
    assert pickle.loads(pickle.dumps(find(NAME))) is find(NAME)
    assert find("nnUNetPlannerMinMax") is None
    with pytest.raises(IllegalName, match=f"fingerprint extractor.*{NAME}"):
        find(f"{NAME}s")
    assert answer(PLACE, "nnUNetPlannerMinMax")[0].__name__ == "nnUNetPlannerMinMax"
