"""Training steps with instructive features, and of networks of other kinds."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.settings import Settings
from benchmarks.gpu.steps import network_of, training_step
from benchmarks.gpu.timing import compared, free

ENHANCED = ("IFERandom", "IFECurvature", "IFEEntropy")


def enhanced(settings: Settings) -> dict[str, Any]:
    """Training steps of nnU-Net's network with and without instructive features."""
    results = {}
    for dimension in settings.shapes:
        print(f" {dimension}, {'x'.join(map(str, settings.shapes[dimension]))}", flush=True)
        runs = {
            name: training_step(network_of(f"nnUNetTrainer{name}", dimension, settings), dimension, settings)
            for name in ("", *ENHANCED)
            if not settings.budget.over(f"step of {name or 'nnUNetTrainer'} in {dimension}")
        }
        named = {name or "nnUNetTrainer": run for name, run in runs.items()}
        results[dimension] = compared(named, settings, settings.steps) if named else {}
        free(settings)
    return results


def other_networks(settings: Settings) -> dict[str, Any]:
    """Training steps of networks of other kinds, each beside the planned one."""
    from nnunet_tricks.catalogue import CATALOGUE

    results: dict[str, Any] = {}
    backbones = [info for info in CATALOGUE if "network.backbone" in info.hooks]
    if settings.networks:
        backbones = [info for info in backbones if info.name in settings.networks]
    elif settings.quick:
        backbones = [info for info in backbones if info.name in ("EfficientNetLite0UNet", "SegResNet")]
    for info in backbones:
        dimension = "3d" if info.dimensions == 3 else "2d"
        if settings.budget.over(f"network {info.name}"):
            continue
        try:
            runs = {
                "nnUNetTrainer": training_step(network_of("nnUNetTrainer", dimension, settings), dimension, settings),
                info.name: training_step(network_of(info.trainer, dimension, settings), dimension, settings),
            }
            results[info.name] = {"dimension": dimension, "steps": compared(runs, settings, settings.steps)}
        except Exception as error:  # one network must not cost the others
            results[info.name] = {"error": f"{type(error).__name__}: {error}"}
            print(f"  {info.name}: {results[info.name]['error']}", flush=True)
        free(settings)
    return results
