from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers

TRAINER = "nnUNetTrainerTversky_NoDeepSupervision"


@pytest.fixture(scope="session")
def train(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Situation], Path]:
    """Trains for an epoch, and returns a copy of the model folder that nobody may write to."""

    def train(name: str, cell: Situation) -> Path:
        trainer = trainers.find(name)
        assert trainer is not None
        with bench.room(trainer, cell) as run:
            for step in ("first stage", "epochs", "--val") if cell.dimension == "cascade" else ("epochs", "--val"):
                STEPS[step](run)
            return shutil.copytree(run.model_folder(), tmp_path_factory.mktemp("models") / run.model_folder().name)

    return train


@pytest.fixture(scope="session")
def volumes(train: Callable[[str, Situation], Path]) -> Path:
    """A model with regions, trained by two tricks on volumes, without deep supervision."""
    return train(TRAINER, Situation("regions", "3d", False))


@pytest.fixture
def model(volumes: Path, tmp_path: Path) -> Path:
    """One of its copies, to be spoiled."""
    return shutil.copytree(volumes, tmp_path / "results" / volumes.name)
