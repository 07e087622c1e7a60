"""A store for a test, and trainings of full-size networks on the bench's tiny data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door import trainers
from nnunet_tricks.training import network_sizes
from nnunet_tricks.tricks.pretraining.weights import adding
from nnunet_tricks.tricks.pretraining.weights.store import VARIABLE, Store
from tests.tricks.pretraining.weights.published import filled

FLAT = Situation("labels", "2d", True)
SOLID = Situation("labels", "3d", True)

Room = Callable[..., Any]


def trainer_of(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights"))
    return Store.usual()


@pytest.fixture(scope="session")
def lite0_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an EfficientNet-Lite0 that no initialisation gives."""
    file = tmp_path_factory.mktemp("weights") / "lite0.pth"
    network = timm.create_model("tf_efficientnet_lite0")
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            value += 0.25
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture
def lite0(store: Store, lite0_file: Path) -> Store:
    """A store with these weights as those of ImageNet."""
    adding.add(store, lite0_file, name="PretrainedImageNet1k", architecture="tf_efficientnet_lite0")
    return store


@pytest.fixture
def room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Room:
    """Room on the bench for one trainer, with networks in full size."""

    @contextmanager
    def open_room(name: str, situation: Situation = FLAT) -> Iterator[Run]:
        # The innermost ends first: the bench has set the variable, too, and puts back what was there before.
        with bench.room(trainer_of(name), situation) as run, monkeypatch.context() as size:
            size.setenv(network_sizes.VARIABLE, "full")
            yield run

    return open_room


def log_of(trainer: nnUNetTrainer) -> str:
    """Everything that a trainer has written into its logs."""
    return "".join(file.read_text() for file in sorted(Path(trainer.output_folder).glob("training_log_*.txt")))


def epochs_of(trainer: nnUNetTrainer, count: int) -> None:
    """Train until so many epochs are done, with checkpoints as nnU-Net writes them."""
    trainer.num_epochs = count
    trainer.save_every = 1
    trainer.run_training()


def checkpoint(network: torch.nn.Module, file: Path, **more: Any) -> Path:
    """A checkpoint of nnU-Net with the values of a network, whatever they are."""
    torch.save({"network_weights": filled(network).state_dict(), **more}, file)
    return file
