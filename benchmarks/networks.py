"""Training steps of other networks against nnU-Net's planned U-Net, and what padding inside the network costs.

python -m benchmarks.networks [--rounds 5] [--threads 1] [--only NAME...] [--out benchmarks/results/networks.json]

Steps are forward and backward of one batch, in CPU time. What padding and cropping add is measured without the network
inside, on images that need no padding, since the step itself varies by more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn

from benchmarks.measuring import paired, save
from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.door import trainers

PLANNED = "nnU-Net's planned U-Net"
BATCHES = {2: (2, 3, 128, 128), 3: (1, 1, 32, 32, 64)}
"""Batches with sides that are multiples of all strides."""
FEATURES = {2: [32, 64, 128, 256, 512, 512], 3: [32, 64, 128, 256, 320]}
"""Widths that nnU-Net plans for such patches."""
WRAPPER_MOST = 1.02
"""Largest ratio of a step to that of the network without padding and cropping."""


def main() -> None:
    """Measure, print tables, save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these networks")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {}
    for dimensions, shape in BATCHES.items():
        names = [
            info.name
            for info in CATALOGUE
            if "network.backbone" in info.hooks
            and info.dimensions == dimensions
            and (info.name in arguments.only or not arguments.only)
        ]
        if names:
            timed = steps(names, dimensions, arguments.rounds)
            for name in names:
                timed[name]["wrapper ratio"] = 1 + own_time(name, dimensions) / timed[name]["milliseconds"]
                print(f"{name:32} wrapper {timed[name]['wrapper ratio']:.5f}, at most {WRAPPER_MOST}", flush=True)
            results[f"{dimensions}D"] = {"batch": shape, "networks": timed}
    if arguments.out:
        save(arguments.out, {"threads": arguments.threads, "rounds": arguments.rounds, "results": results})


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


def step(network: Callable[[Tensor], Tensor], image: Tensor, weights: nn.Module) -> Callable[[], None]:
    """Forward and backward of a batch."""

    def run() -> None:
        weights.zero_grad(set_to_none=True)
        network(image).square().mean().backward()  # type: ignore[no-untyped-call]

    return run


def steps(names: list[str], dimensions: int, rounds: int) -> dict[str, Any]:
    """Time a step of each network against the planned one."""
    image = torch.rand(BATCHES[dimensions], generator=torch.Generator().manual_seed(0))
    networks = {PLANNED: built("", dimensions), **{name: built(name, dimensions) for name in names}}
    runs = {name: step(network, image, network) for name, network in networks.items()}
    timed: dict[str, Any] = paired(runs, baseline=PLANNED, rounds=rounds, clock=process_time)
    print(f"\n{'x'.join(map(str, image.shape))}: times as long as {PLANNED}")
    for name, row in timed.items():
        if name in networks:
            row["million parameters"] = sum(weight.numel() for weight in networks[name].parameters()) / 1e6
        millions = f"{row['million parameters']:.1f} M" if name in networks else ""
        print(
            f"{name:32} {row['ratio']:5.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f}) {millions}", flush=True
        )
    return timed


def own_time(name: str, dimensions: int, calls: int = 300) -> float:
    """Milliseconds that padding and cropping take for images that fit, with nothing inside the network."""
    image = torch.rand(BATCHES[dimensions], generator=torch.Generator().manual_seed(0))
    network = built(name, dimensions)
    if network.decoder is network and not hasattr(network, "body"):
        return 0.0  # it takes images of any size, and nothing is around it
    for part in [network.body] if hasattr(network, "body") else [network.encoder, network.decoder]:
        part.forward = lambda batch: batch
    network(image)
    start = process_time()
    for _ in range(calls):
        network(image)
    return 1000 * (process_time() - start) / calls


if __name__ == "__main__":
    main()
