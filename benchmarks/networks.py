"""Training steps of other networks against nnU-Net's planned U-Net, and against the same network without our wrapper.

python -m benchmarks.networks [--rounds 5] [--threads 1] [--only NAME...] [--out benchmarks/results/networks.json]

A step is forward, nnU-Net's Dice and cross-entropy, backward and the optimizer, for a batch whose sides are multiples.
Times are CPU time of the process, since other programs disturb the wall clock. Each network is timed beside the planned
one, in rounds whose order changes. The wrapper pads and crops nothing then, so it costs less than steps vary: what it
takes is also measured with nothing inside. Networks that are in the file of ``--out`` are not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import process_time
from typing import Any

import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn

from benchmarks.measuring import save
from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers

PLANNED = "nnU-Net's planned U-Net"
BARE = "without its wrapper"
BATCHES = {2: (2, 3, 128, 128), 3: (1, 1, 32, 32, 64)}
"""Batches with sides that are multiples of all strides."""
FEATURES = {2: [32, 64, 128, 256, 512, 512], 3: [32, 64, 128, 256, 320]}
"""Widths that nnU-Net plans for such patches."""
WRAPPER_MOST = 1.02
"""Largest ratio of a step to that of the network without padding and cropping."""


def main() -> None:
    """Measure, print tables, save them after each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these networks")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = {"clock": "CPU time", "threads": arguments.threads, "rounds": arguments.rounds}
    results: dict[str, Any] = {}
    if arguments.out and arguments.out.exists():
        earlier = json.loads(arguments.out.read_text())
        if settings.items() <= earlier.items():
            results = earlier["networks"]
    for info in CATALOGUE:
        asked = info.name in arguments.only or not arguments.only
        if "network.backbone" not in info.hooks or info.name in results or not asked:
            continue
        results[info.name] = measured(info.name, info.dimensions or 2, arguments.rounds)
        show(info.name, results[info.name])
        if arguments.out:
            save(arguments.out, {**settings, "networks": results})


def built(name: str, dimensions: int) -> Any:
    """The network of a trainer, for one channel or RGB and two classes; the planned one where the name is empty."""
    batch, channels, *patch = BATCHES[dimensions]
    plans = tiny_plans("Dataset001_Benchmark", flat=dimensions == 2, intensities={})
    key = "2d" if dimensions == 2 else "3d_fullres"
    configuration = plans["configurations"][key]
    configuration |= {"patch_size": patch, "batch_size": batch}
    stages = len(FEATURES[dimensions])
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": stages,
        "features_per_stage": FEATURES[dimensions],
        "kernel_sizes": [[3] * dimensions] * stages,
        "strides": [[1] * dimensions, *[[2] * dimensions] * (stages - 1)],
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
    }
    manager = PlansManager(plans)
    trainer: Any = trainers.find(f"nnUNetTrainer{name}")
    torch.manual_seed(0)
    return trainer.build_network_architecture(manager, manager.get_configuration(key), channels, 2, False).train()


def step(network: Callable[[Tensor], Tensor], weights: nn.Module, image: Tensor) -> Callable[[], None]:
    """A training step of a batch, with nnU-Net's loss and optimizer."""
    loss = DC_and_CE_loss(
        {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}, {}, dice_class=MemoryEfficientSoftDiceLoss
    )
    optimizer = torch.optim.SGD(weights.parameters(), lr=1e-4, momentum=0.99, nesterov=True, weight_decay=3e-5)
    truth = (image[:, :1] > 0.5).float()

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(network(image), truth).backward()
        nn.utils.clip_grad_norm_(weights.parameters(), 12)
        optimizer.step()

    return run


def bare(network: Any) -> Callable[[Tensor], Tensor] | None:
    """The network without what pads and crops around it; ``None`` where nothing is around it."""
    if hasattr(network, "body"):
        return network.body
    if network.decoder is network:
        return None
    return lambda image: network.decoder(network.encoder(image))


def measured(name: str, dimensions: int, rounds: int) -> dict[str, Any]:
    """Time a step of a network, of the planned one, and of the network without its wrapper."""
    image = torch.rand(BATCHES[dimensions], generator=torch.Generator().manual_seed(0))
    planned, network = built("", dimensions), built(name, dimensions)
    runs = {PLANNED: step(planned, planned, image), name: step(network, network, image)}
    inside = bare(network)
    if inside is not None:
        runs[BARE] = step(inside, network, image)
    result: dict[str, Any] = {
        "batch": BATCHES[dimensions],
        "million parameters": sum(weight.numel() for weight in network.parameters()) / 1e6,
        "times": times(runs, rounds),
    }
    if inside is not None:
        own = own_time(name, dimensions)
        result["wrapper milliseconds"] = own
        result["wrapper share"] = 1 + own / median(result["times"][BARE])
        for key, beside in (("over bare", BARE), ("over planned", PLANNED)):
            result[key] = ratios(result["times"][name], result["times"][beside])
    else:
        result["over planned"] = ratios(result["times"][name], result["times"][PLANNED])
    return result


def times(runs: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of CPU time of each round after one to warm up; the order changes from round to round."""
    names = list(runs)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-1, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = process_time()
            runs[name]()
            if turn >= 0:
                measured[name].append(1000 * (process_time() - start))
    return measured


def ratios(mine: Sequence[float], beside: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of the ratios of rounds."""
    low, middle, high = quantiles([own / base for own, base in zip(mine, beside, strict=True)], n=4)
    return {"ratio": middle, "ratio_low": low, "ratio_high": high}


def show(name: str, row: Mapping[str, Any]) -> None:
    """Print the figures of a network."""
    planned, over = row["over planned"], row.get("over bare")
    print(
        f"{name:24} {row['million parameters']:6.1f} M, {median(row['times'][name]):7.0f} ms, {planned['ratio']:5.2f} "
        f"({planned['ratio_low']:.2f} to {planned['ratio_high']:.2f}) of the planned U-Net"
        + (
            f"; {over['ratio']:.3f} ({over['ratio_low']:.3f} to {over['ratio_high']:.3f}) of the bare network, wrapper "
            f"alone {row['wrapper share']:.5f}, at most {WRAPPER_MOST}"
            if over
            else ""
        ),
        flush=True,
    )


def own_time(name: str, dimensions: int, calls: int = 300) -> float:
    """Milliseconds that padding and cropping take for images that fit, with nothing inside the network."""
    image = torch.rand(BATCHES[dimensions], generator=torch.Generator().manual_seed(0))
    network = built(name, dimensions)
    for part in [network.body] if hasattr(network, "body") else [network.encoder, network.decoder]:
        part.forward = lambda batch: batch
    network(image)
    start = process_time()
    for _ in range(calls):
        network(image)
    return 1000 * (process_time() - start) / calls


if __name__ == "__main__":
    main()
