"""One pretext training of each kind on the bench's tiny data, for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import CONFIGURATIONS, Run
from nnunet_tricks.door import trainers
from nnunet_tricks.training import network_sizes

FLAT = Situation("regions+ignore", "2d", False)
SOLID = Situation("labels", "3d", False)


def made(run: Run, name: str, **changed: Any) -> nnUNetTrainer:
    """A trainer in a room, as ``nnUNetv2_train`` makes it; not initialized."""
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    arguments: dict[str, Any] = {
        "plans": {**run.data.plans, "continue_training": False},
        "configuration": CONFIGURATIONS[run.situation.dimension],
        "fold": 0,
        "dataset_json": run.data.dataset_json,
        "device": torch.device("cpu"),
        **changed,
    }
    built: nnUNetTrainer = trainer(**arguments)
    built.num_iterations_per_epoch, built.num_val_iterations_per_epoch = 2, 1
    return built


def trained(run: Run, name: str, **changed: Any) -> nnUNetTrainer:
    """A trainer whose training, and the validation after it, have come to their end."""
    trainer = made(run, name, **changed)
    trainer.run_training()
    trainer.perform_actual_validation()
    return trainer


def log_of(trainer: nnUNetTrainer) -> str:
    return "".join(file.read_text() for file in sorted(Path(trainer.output_folder).glob("training_log_*.txt")))


@contextmanager
def full_size(bench: Bench, situation: Situation) -> Iterator[Run]:
    """Room on the bench in which trainers look for the weights that they start from."""
    trainer = trainers.find("nnUNetTrainer_run2")
    assert trainer is not None
    with bench.room(trainer, situation) as run, pytest.MonkeyPatch.context() as patch:
        patch.setenv(network_sizes.VARIABLE, "full")
        yield run


@pytest.fixture
def room(bench: Bench) -> Iterator[Run]:
    """Room for volumes, without any training."""
    with full_size(bench, SOLID) as run:
        yield run


@pytest.fixture(scope="module")
def solid(bench: Bench) -> Iterator[tuple[Run, dict[str, nnUNetTrainer]]]:
    """Room for volumes, with a pretext training of each kind."""
    names = ("PretextGenesis_1epochs", "PretextMasked_noskips_1epochs", "PretextContrastive_1epochs")
    with full_size(bench, SOLID) as run:
        yield run, {name: trained(run, name) for name in names}
