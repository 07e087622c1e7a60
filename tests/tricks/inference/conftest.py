from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers


def with_noise(file: Path) -> None:
    """Change the weights of a checkpoint a little."""
    import torch

    checkpoint = torch.load(file, weights_only=False)
    generator = torch.Generator().manual_seed(0)
    for name, weights in checkpoint["network_weights"].items():
        if weights.is_floating_point():
            noise = torch.randn(weights.shape, generator=generator)
            checkpoint["network_weights"][name] = weights + 0.05 * noise * weights.abs().mean()
    torch.save(checkpoint, file)


def _trained(bench: Bench, labels: str, dimension: str, folder: Path) -> tuple[Path, Path]:
    """A model of one epoch, with a second fold that has other weights, and images that it has not seen."""
    trainer = trainers.find("nnUNetTrainerNoDeepSupervision")
    assert trainer is not None
    with bench.room(trainer, Situation(labels, dimension, False)) as run:
        STEPS["epochs"](run)
        model = shutil.copytree(run.model_folder(), folder / run.model_folder().name)
        images = shutil.copytree(run.data.raw / "imagesTs", folder / "imagesTs")
    for image in sorted(images.iterdir()):
        shutil.copy(image, image.with_name(image.name.replace("case_", "case_1")))
    shutil.copytree(model / "fold_0", model / "fold_1")
    with_noise(model / "fold_1" / "checkpoint_final.pth")
    return model, images


@pytest.fixture(scope="session")
def volumes(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A 3D model with regions, two folds, and its unseen images."""
    return _trained(bench, "regions", "3d", tmp_path_factory.mktemp("volumes"))


@pytest.fixture(scope="session")
def slices(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A 2D model with labels, two folds, and its unseen images."""
    return _trained(bench, "labels", "2d", tmp_path_factory.mktemp("slices"))
