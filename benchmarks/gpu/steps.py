"""A training step as nnU-Net makes it, with the network of any trainer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from benchmarks.gpu.settings import CLASSES, Settings
from benchmarks.gpu.targets import logits_and_target

FEATURES = {"2d": [32, 64, 128, 256, 512, 512, 512, 512], "3d": [32, 64, 128, 256, 320, 320]}
"""Widths that nnU-Net plans for such patches."""

QUICK_STAGES = 3
"""Stages of the network in a quick run."""


def network_of(trainer: str, dimension: str, settings: Settings, *, deep: bool = False) -> Any:
    """A trainer's network at nnU-Net's usual widths, for one channel in 3D and three in 2D, on the device."""
    import torch
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_tricks.conformance.tiny_plans import tiny_plans
    from nnunet_tricks.door import trainers

    batch, _, *patch = settings.shapes[dimension]
    axes = len(patch)
    plans = tiny_plans("Dataset001_Benchmark", flat=axes == 2, intensities={})
    key = "2d" if axes == 2 else "3d_fullres"
    configuration = plans["configurations"][key]
    configuration |= {"patch_size": list(patch), "batch_size": batch}
    features = FEATURES[dimension][: QUICK_STAGES if settings.quick else None]
    stages = len(features)
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": stages,
        "features_per_stage": features,
        "kernel_sizes": [[3] * axes] * stages,
        "strides": [[1] * axes, *[[2] * axes] * (stages - 1)],
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
    }
    manager = PlansManager(plans)
    found: Any = trainers.find(trainer)
    if found is None:
        raise ValueError(f"there is no trainer {trainer}")
    torch.manual_seed(0)
    arguments = (manager, manager.get_configuration(key), 3 if axes == 2 else 1, CLASSES, deep)
    return found.build_network_architecture(*arguments).train().to(settings.device)


def training_step(network: Any, dimension: str, settings: Settings) -> Callable[[], None]:
    """A step as nnU-Net makes it: autocast and scaled gradients on a GPU, clipping, SGD."""
    import torch
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    batch, _, *patch = settings.shapes[dimension]
    image = torch.rand(batch, 3 if len(patch) == 2 else 1, *patch, generator=torch.Generator().manual_seed(0))
    _, target = logits_and_target((batch, CLASSES, *patch), settings.device)
    image = image.to(settings.device)
    dice = {"batch_dice": dimension == "2d", "smooth": 1e-5, "do_bg": False, "ddp": False}
    loss = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.99, nesterov=True, weight_decay=3e-5)
    scaler = torch.amp.GradScaler("cuda") if settings.is_cuda else None

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda") if settings.is_cuda else nullcontext():
            value = loss(network(image), target)
        if scaler:
            scaler.scale(value).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
            scaler.step(optimizer)
            scaler.update()
        else:
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
            optimizer.step()

    return run
