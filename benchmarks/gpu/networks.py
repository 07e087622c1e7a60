"""Training steps with instructive features, and of networks of other kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.gpu.failures import noted
from benchmarks.gpu.settings import Measurements, Settings
from benchmarks.gpu.steps import network_of, training_step
from benchmarks.gpu.timing import compared

PLAIN = "nnUNetTrainer"
ENHANCED = ("IFERandom", "IFECurvature", "IFEEntropy")


def enhanced(settings: Settings) -> Measurements:
    """Training steps of nnU-Net's network with and without instructive features."""
    for dimension in settings.shapes:
        if not settings.budget.over(f"steps in {dimension}"):
            print(f" {dimension}, {'x'.join(map(str, settings.shapes[dimension]))}", flush=True)
            trainers = {PLAIN: PLAIN, **{name: f"nnUNetTrainer{name}" for name in ENHANCED}}
            yield dimension, partial(steps_of, trainers, dimension, settings)


def other_networks(settings: Settings) -> Measurements:
    """Training steps of networks of other kinds, each beside the planned one."""
    from nnunet_tricks.catalogue import CATALOGUE

    backbones = [info for info in CATALOGUE if "network.backbone" in info.hooks]
    if settings.networks:
        backbones = [info for info in backbones if info.name in settings.networks]
    elif settings.quick:
        backbones = [info for info in backbones if info.name in ("EfficientNetLite0UNet", "SegResNet")]
    for info in backbones:
        if not settings.budget.over(f"network {info.name}"):
            dimension = "3d" if info.dimensions == 3 else "2d"
            trainers = {PLAIN: PLAIN, info.name: info.trainer}
            yield info.name, partial(network_beside_planned, trainers, dimension, settings)


def network_beside_planned(trainers: dict[str, str], dimension: str, settings: Settings) -> dict[str, Any]:
    """Steps of the two networks, and their dimension."""
    return {"dimension": dimension, "steps": steps_of(trainers, dimension, settings)}


def steps_of(trainers: dict[str, str], dimension: str, settings: Settings) -> dict[str, Any]:
    """Training steps of some trainers' networks beside each other. A network that cannot be built has an error."""
    runs: dict[str, Callable[[], None]] = {}
    failed: dict[str, Any] = {}
    for name, trainer in trainers.items():
        with noted(failed, name):
            runs[name] = training_step(network_of(trainer, dimension, settings), dimension, settings)
    return compared(runs, PLAIN, settings, settings.steps, f"steps in {dimension}") | failed
