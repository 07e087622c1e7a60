"""Scores of feature maps compared with other ways to compute them, and the cost of instructive features per step.

python -m benchmarks.ife [--rounds 30] [--steps 10] [--threads 1] [--device cuda] [--out benchmarks/results/ife.json]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn

from benchmarks.measuring import paired, save
from benchmarks.memory import peak_memory
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.network.enhancement.curvature import curvature_score
from nnunet_tricks.tricks.network.enhancement.entropy import entropy_score

SHAPES = ((2, 256, 28, 28), (12, 256, 32, 32), (2, 512, 14, 14), (2, 128, 64, 64))
VOLUMES = ((2, 64, 20, 28, 20), (2, 128, 16, 16, 16), (2, 128, 32, 32, 32))
CURVATURE_LEAST = dict(zip(SHAPES, (5, 15, 3, 15), strict=True))
"""Smallest factor by which the score must be faster than the published form."""
ENTROPY_LEAST = {"unfold and histc": 2.5, "unique": 5}
STEP_MOST = {"cpu": {"IFECurvature": 1.10, "IFEEntropy": 1.10}, "cuda": {"IFECurvature": 1.03, "IFEEntropy": 1.08}}
"""Largest ratio of the time of a training step to that with as many random channels."""

RATIOS = "_r0p75x0p5"
TRAINERS = {
    "plain U-Net": "nnUNetTrainer",
    "random channels": "nnUNetTrainerIFERandom",
    "IFECurvature": "nnUNetTrainerIFECurvature",
    "IFEEntropy": f"nnUNetTrainerIFEEntropy{RATIOS}",
    "IFEEntropy, reference": f"nnUNetTrainerIFEEntropy{RATIOS}_reference",
}
NETWORKS = {"2d": (12, (128, 128)), "3d_fullres": (2, (32, 64, 64))}
FEATURES = [32, 64, 128, 256]
READ = "sum of the maps (one read)"

VALUES = 2**22
"""Number of values in one measurement of a score. Calls are repeated to reach it, as single calls are too short."""


def main() -> None:
    """Measure, print tables, save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="rounds of the scores")
    parser.add_argument("--steps", type=int, default=10, help="rounds of training steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    results: dict[str, dict[str, Any]] = {"curvature": {}, "entropy": {}, "steps": {}}
    for shape in SHAPES + VOLUMES:
        features = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
        name = "x".join(map(str, shape))
        least = {"published form": CURVATURE_LEAST[shape], "grouped convolution": 1 / 1.1} if shape in SHAPES else {}
        results["curvature"][name] = scores(name, curvatures(features), features, least, arguments.rounds)
        least = ENTROPY_LEAST if shape in SHAPES else {}
        results["entropy"][name] = scores(name, entropies(features), features, least, arguments.rounds)
    for configuration, (samples, size) in NETWORKS.items():
        results["steps"][configuration] = steps(configuration, samples, size, device, arguments.steps)
    if arguments.out:
        save(arguments.out, {"threads": arguments.threads, "device": arguments.device, "results": results})


def scores(
    name: str, functions: Mapping[str, Callable[[], Tensor]], features: Tensor, least: Mapping[str, float], rounds: int
) -> dict[str, Any]:
    """Time the first of ``functions`` against the others, and against a single read of the maps."""
    baseline = next(iter(functions))
    every = {**functions, READ: lambda: features.sum(tuple(range(2, features.ndim)))}
    times = max(1, VALUES // features.numel())
    runs = {key: synchronised(partial(repeat, run, times), features.device) for key, run in every.items()}
    timed: dict[str, Any] = paired(runs, baseline=baseline, rounds=rounds, clock=clock_of(features.device))
    print(f"\n{name}: times as long as {baseline}")
    for key, row in timed.items():
        row["milliseconds"] /= times
        if key in every:
            row["peak_memory_in_maps"] = peak_memory(every[key], cuda=features.is_cuda) / (features.numel() * 4)
        bound = f", at least {least[key]:.2f}" if key in least else ""
        memory = f", memory {row['peak_memory_in_maps']:.2f} maps" if key in every else ""
        print(f"  {key:34} {row['milliseconds']:9.3f} ms  x {row['ratio']:7.2f}{bound}{memory}")
    return timed


def curvatures(features: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Ways to compute the same score; ours comes first."""
    samples, channels, *size = features.shape
    kernel = torch.tensor([[-1, 5, -1], [5, -16, 5], [-1, 5, -1]], device=features.device) / 16
    if len(size) == 3:
        cube = torch.zeros(3, 3, 3, device=features.device)
        for axis in range(3):
            cube.select(axis, 1).add_(kernel / 3)
        kernel = cube
    convolve, inside = (F.conv2d, (2, 3)) if len(size) == 2 else (F.conv3d, (2, 3, 4))
    every = kernel.expand(channels, 1, *kernel.shape)

    def grouped() -> Tensor:
        return convolve(features, every, groups=channels).abs().sum(inside)

    def published() -> Tensor:
        maps = features.reshape(samples * channels, 1, *size)
        return convolve(maps, kernel[None, None]).abs().sum(inside).view(samples, channels)

    return {
        "curvature_score": partial(curvature_score, features),
        "grouped convolution": grouped,
        "grouped convolution, no sum": partial(convolve, features, every, groups=channels),
        "published form": published,
    }


def entropies(features: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The published code's two criteria, written in torch. Ours come first; in 3D there are only ours."""
    ours: dict[str, Callable[[], Tensor]] = {
        "entropy_score, reference": partial(entropy_score, features, mode="reference"),
        "entropy_score": partial(entropy_score, features),
        "entropy_score, 65536 bins": partial(entropy_score, features, bins=65536),
    }
    if features.ndim == 5:
        return ours
    samples, channels, height, width = features.shape

    def mixed() -> Tensor:
        windows = F.unfold(features, 3, padding=1).view(samples, channels, 9, height * width)
        centre = windows[:, :, 4]
        return (100 * centre + (windows.sum(2) - centre) / 8).flatten(0, 1)

    def histc() -> Tensor:
        values = mixed()
        low, high = values.min().item(), values.max().item()
        counts = torch.stack([torch.histc(row, 256, low, high) for row in values])
        return entropy_of(counts / ((height + 2) * (width + 2))).view(samples, channels)

    def unique() -> Tensor:
        rows = [entropy_of(torch.unique(row, return_counts=True)[1] / len(row)) for row in mixed()]
        return torch.stack(rows).view(samples, channels)

    return {**ours, "unfold and histc": histc, "unique": unique}


def entropy_of(shares: Tensor) -> Tensor:
    """Entropy of the last axis in bits."""
    return -(shares * torch.log2(shares.clamp(min=1e-40))).sum(-1)


def steps(configuration: str, samples: int, size: tuple[int, ...], device: torch.device, rounds: int) -> dict[str, Any]:
    """Time training steps of nnU-Net's network, with and without enhanced skip connections."""
    images = torch.randn(samples, 1, *size, device=device)
    target = torch.randint(0, 3, (samples, *size), device=device)
    networks = {name: network_of(trainer, configuration).to(device) for name, trainer in TRAINERS.items()}
    runs = {name: synchronised(partial(step, network, images, target), device) for name, network in networks.items()}
    timed: dict[str, Any] = paired(runs, baseline="random channels", rounds=rounds, clock=clock_of(device))
    print(f"\ntraining step, {configuration}, {samples} patches of {'x'.join(map(str, size))}")
    for name, row in timed.items():
        most = STEP_MOST.get(device.type, {}).get(name)
        quartiles = f"({row['ratio_low']:.3f}-{row['ratio_high']:.3f})"
        bound = f", at most {most:.2f}" if most else ""
        print(f"  {name:34} {row['milliseconds']:9.1f} ms  x {row['ratio']:.3f} {quartiles}{bound}")
    return timed


def network_of(trainer: str, configuration: str) -> nn.Module:
    """A network of four stages, with nnU-Net's usual features and two convolutions per stage."""
    plans = tiny_plans("Dataset001_Benchmark", flat=configuration == "2d", intensities={})
    settings = plans["configurations"][configuration]["architecture"]["arch_kwargs"]
    settings |= {"features_per_stage": FEATURES, "n_conv_per_stage": [2] * 4, "n_conv_per_stage_decoder": [2] * 3}
    manager = PlansManager(plans)
    trainer_class = trainers.find(trainer)
    if trainer_class is None:
        raise ValueError(f"no trainer {trainer}")
    torch.manual_seed(0)
    arguments = (manager, manager.get_configuration(configuration), 1, 3, False)
    return trainer_class.build_network_architecture(*arguments).train()  # type: ignore[attr-defined]


def step(network: nn.Module, images: Tensor, target: Tensor) -> None:
    """Forward, loss, backward and a step of plain gradient descent."""
    network.zero_grad()
    torch.autograd.backward(F.cross_entropy(network(images), target))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.grad is not None:
                weight.sub_(weight.grad, alpha=1e-3)


def repeat(run: Callable[[], object], times: int) -> None:
    """Call a function several times."""
    for _ in range(times):
        run()


def synchronised(run: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """A function that calls ``run`` and waits until the device has finished."""

    def waiting() -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return waiting


def clock_of(device: torch.device) -> Callable[[], float]:
    """Processor time on the CPU, because other processes disturb it less; else the wall clock."""
    return process_time if device.type == "cpu" else perf_counter


if __name__ == "__main__":
    main()
