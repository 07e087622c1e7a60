"""What an ensemble has cost is what its members have cost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.cost import cost
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.experiment.inference_cells import RECORD
from tests.comparison.world import World

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


def timed(fold: Path, *logs: Iterable[tuple[int, float]]) -> None:
    """Logs of a training, one for each time that it was started: its epochs, and the seconds of each."""
    for former in fold.glob("training_log_*.txt"):
        head = former.read_text().splitlines()[0]
        former.unlink()
    for number, epochs in enumerate(logs):
        lines = [f"2026: Epoch {epoch} \n2026: Epoch time: {seconds} s" for epoch, seconds in epochs]
        (fold / f"training_log_2026_1_{9 + number}_00_00_00.txt").write_text(
            "\n".join([head, *lines, "2026: Epoch 9 "])
        )


@pytest.mark.parametrize(
    ("logs", "seconds"),
    [
        ([[(0, 1), (1, 2), (2, 6)]], 9),
        ([[(0, 1), (1, 2)], [(1, 3), (2, 6)]], 10),  # what was trained again counts once
        ([[(1, 2), (2, 6)]], None),  # the log of the first epoch is gone
    ],
)
def test_a_whole_training_is_the_sum_of_its_epochs(world: World, logs: list[list[tuple[int, float]]], seconds) -> None:
    model = world.train()
    timed(model / "fold_0", *logs)
    predictions = Predictions(model=model, fold="0", part="validation")
    assert cost([predictions], whole=True).training == seconds
    assert cost([predictions]).training is None


def test_compare_shows_what_growing_patches_save(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The median epoch takes a fifth of the baseline's, and the training a half."""
    baseline, growing = world.train("nnUNetTrainer"), world.train("nnUNetTrainerGrowingPatch")
    stopped = world.train("nnUNetTrainerTversky")
    for fold in range(3):
        for model, seconds in ((baseline, [60] * 4), (growing, [12, 12, 12, 84]), (stopped, [60] * 4)):
            timed(model / f"fold_{fold}", list(enumerate(seconds)))
    assert main(["compare", str(baseline), str(growing), "--workers", "1"]) == 0
    table = capsys.readouterr().out
    assert "min/training" in table
    assert "2.0 (x0.50)" in table
    assert "12.0 (x0.20)" in table
    assert main(["compare", str(baseline), str(growing), "--workers", "1", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["tables"]
    assert [method["seconds_of_training"] for method in found["methods"]] == [240, 120]
    assert found["statistics"]["tricks"][0]["cost"]["training"] == 0.5
    # Where an epoch tells it, nothing is added.
    assert main(["compare", str(baseline), str(stopped), "--workers", "1"]) == 0
    assert "min/training" not in capsys.readouterr().out
