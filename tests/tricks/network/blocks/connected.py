"""Planned networks with parts between encoder and decoder, and what holds for all of these."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers

UNET = "dynamic_network_architectures.architectures.unet."
SIZES = {"2d": (32, 32), "3d_fullres": (6, 24, 24)}
"""Patches of the tiny plans. In 3D the first stage has flat kernels, and the deepest has 3 voxels along each axis."""
NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
CLASSES = 3

LAYERS = {
    2: PlannedLayers(nn.Conv2d, nn.BatchNorm2d, nn.ReLU),
    3: PlannedLayers(nn.Conv3d, nn.BatchNorm3d, nn.ReLU),
}
"""Layers of reference implementations."""


def plans_of(configuration: str, network: str = "PlainConvUNet", stages: int = 4) -> dict[str, Any]:
    plans = tiny_plans("Dataset001_Tiny", flat=configuration == "2d", intensities={})
    architecture = plans["configurations"][configuration]["architecture"]
    settings = architecture["arch_kwargs"]
    architecture["network_class_name"] = UNET + network
    settings["n_stages"] = stages
    for key in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"):
        settings[key] = settings[key][:stages]
    settings["n_conv_per_stage_decoder"] = settings["n_conv_per_stage_decoder"][: stages - 1]
    if network != "PlainConvUNet":
        settings["n_blocks_per_stage"] = settings.pop("n_conv_per_stage")
    return plans


def built(
    trainer: str,
    configuration: str = "2d",
    network: str = "PlainConvUNet",
    stages: int = 4,
    patch: tuple[int, ...] = (),
) -> Any:
    """The network of a trainer, with the same weights for what it has in common with others."""
    plans = plans_of(configuration, network, stages)
    if patch:
        plans["configurations"][configuration]["patch_size"] = list(patch)
    return built_from(plans, trainer, configuration)


def built_from(plans: dict[str, Any], trainer: str, configuration: str = "2d") -> Any:
    found: Any = trainers.find(f"nnUNetTrainer{trainer}")
    dataset_json = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "organ": 1, "core": 2}}
    planned = Planned.of(plans, configuration, dataset_json)
    torch.manual_seed(0)
    return found.build_network_architecture(planned.plans, planned.configuration, 1, CLASSES, True)


def image_of(configuration: str, batch: int = 2) -> Tensor:
    return torch.randn(batch, 1, *SIZES[configuration], generator=torch.Generator().manual_seed(0))


def outputs_of(network: nn.Module, image: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return list(network(image))


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and running statistics that are all different, so that none can stand for another; ready to predict."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(drawn.abs() + 0.5 if "running_var" in name else 0.3 * drawn)
    return module.eval()


def copied(source: nn.Module, target: nn.Module) -> None:
    """All tensors of one module into another, in the order in which both have them."""
    mine, theirs = source.state_dict(), target.state_dict()
    pairs = list(zip(theirs.items(), mine.values(), strict=True))
    assert all(old.shape == new.shape for (_, old), new in pairs)
    target.load_state_dict({name: new for (name, _), new in pairs})
