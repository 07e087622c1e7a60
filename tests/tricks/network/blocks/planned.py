"""Networks of trainers for tests, built from tiny plans as prediction builds them."""

from __future__ import annotations

from typing import Any

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers

SIZES = {"2d": (32, 32), "3d_fullres": (6, 24, 24)}
KINDS = ("PlainConvUNet", "ResidualEncoderUNet")


def plans_of(configuration: str, kind: str = "PlainConvUNet") -> dict[str, Any]:
    """Tiny plans whose network is plain or residual."""
    plans = tiny_plans("Dataset001_Tiny", flat=configuration == "2d", intensities={})
    architecture = plans["configurations"][configuration]["architecture"]
    architecture["network_class_name"] = f"dynamic_network_architectures.architectures.unet.{kind}"
    if kind != "PlainConvUNet":
        settings = architecture["arch_kwargs"]
        settings["n_blocks_per_stage"] = settings.pop("n_conv_per_stage")
    return plans


def built(name: str, plans: dict[str, Any], configuration: str, *, deep_supervision: bool = False) -> Any:
    """The network of a trainer, always from the same random numbers."""
    manager = PlansManager(plans)
    trainer: Any = trainers.find(f"nnUNetTrainer{name}")
    torch.manual_seed(0)
    return trainer.build_network_architecture(manager, manager.get_configuration(configuration), 1, 3, deep_supervision)
