"""Networks for tests, built from plans as prediction builds them."""

from __future__ import annotations

from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers

CONFIGURATIONS = {2: "2d", 3: "3d_fullres"}


def trainer_of(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


def built(
    name: str,
    *,
    dimensions: int = 2,
    patch: tuple[int, ...] = (),
    channels: int = 3,
    classes: int = 2,
    deep_supervision: bool = False,
    device: str = "cpu",
) -> Any:
    """The network of a trainer, always from the same random numbers."""
    plans = tiny_plans("Dataset001_Tiny", flat=dimensions == 2, intensities={})
    configuration = CONFIGURATIONS[dimensions]
    if patch:
        plans["configurations"][configuration]["patch_size"] = list(patch)
    manager = PlansManager(plans)
    torch.manual_seed(0)
    with torch.device(device):
        return trainer_of(name).build_network_architecture(
            manager, manager.get_configuration(configuration), channels, classes, deep_supervision
        )
