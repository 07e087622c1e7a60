"""What an ensemble has cost is what its members have cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnunet_tricks.comparison.cost import cost
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.experiment.inference_cells import RECORD

DATASET = "Dataset001_X"


def validation(results: Path, trainer: str) -> Path:
    folder = results / DATASET / f"{trainer}__nnUNetPlans__2d" / "fold_0" / "validation"
    folder.mkdir(parents=True)
    return folder


def made_of(folder: Path, **settings: object) -> None:
    (folder / RECORD).write_text(json.dumps({"settings": settings}))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three trainings with 1, 2 and 9 seconds per epoch, views of each, their ensemble, and steps on it."""
    members = []
    for trainer, seconds in (("nnUNetTrainer", 1), ("nnUNetTrainer_run2", 2), ("nnUNetTrainer_run3", 9)):
        fold = validation(tmp_path, trainer).parent
        (fold.parent / "dataset.json").write_text('{"file_ending": ".png"}')
        (fold / "training_log_2026.txt").write_text(f"2026: Epoch time: {seconds}.0 s\n")
        views = validation(tmp_path, f"{trainer}+TTA_mirror")
        made_of(views, tta="mirror")
        members.append(str(views))
    ensemble = validation(tmp_path, "nnUNetTrainer+EnsembleAverage_of3")
    made_of(ensemble, members=members)
    made_of(validation(tmp_path, "nnUNetTrainer+EnsembleAverage_of3+KeepLargest"), of=str(ensemble))
    return tmp_path


@pytest.mark.parametrize(
    ("trainer", "seconds"),
    [
        ("nnUNetTrainer", 1),
        ("nnUNetTrainer_run2+TTA_mirror", 2),
        ("nnUNetTrainer+EnsembleAverage_of3", 2),
        ("nnUNetTrainer+EnsembleAverage_of3+KeepLargest", 2),
    ],
)
def test_seconds_per_epoch_are_those_of_all_members(results: Path, trainer: str, seconds: float) -> None:
    predictions = Predictions(model=results / DATASET / f"{trainer}__nnUNetPlans__2d", fold="0", part="validation")
    assert cost([predictions]).epoch == seconds
