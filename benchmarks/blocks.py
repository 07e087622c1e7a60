"""Training steps of blocks inside nnU-Net's planned U-Net, against the planned U-Net itself.

python -m benchmarks.blocks [--rounds 3] [--threads 1] [--only NAME...] [--out benchmarks/results/blocks.json]

A step is forward, nnU-Net's Dice and cross-entropy, backward and the optimizer, in 2D and in 3D. Times are CPU time of
the process. Each block is timed beside the planned network, in rounds whose order changes. Parameters, multiply-adds
and activations are counted from shapes; peak memory is what a step holds at once. ``DeepStem`` is measured beside
``ResNet50UNet``, whose stem it replaces. Blocks that are in the file of ``--out`` are not measured again.

Modules that MONAI has too are timed alone, forward and backward, beside MONAI's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring import paired, save
from benchmarks.memory import peak_memory
from benchmarks.networks import BATCHES, PLANNED, built, ratios, step, times
from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.door import trainers
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.blocks.attention_gates import AttentionGate
from nnunet_tricks.tricks.network.blocks.channel_attention import SqueezeExcitation
from nnunet_tricks.tricks.network.blocks.cost import cost_of
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers

SLOTS = ("block", "attention", "gates", "path", "skips", "bottleneck", "shape", "width", "input", "stem")
"""Slots of the network that blocks are in."""
ELSEWHERE = ("IFECurvature", "IFEEntropy", "IFERandom")
"""Measured by ``benchmarks.ife``."""
MOST = {
    "SqueezeExcitation": 1.10,
    "SpatialAttention": 1.10,
    "ResidualPath": 1.10,
    "AttentionGates": 1.15,
    "NonLocal": 1.25,
}
"""Largest ratio of a step to that of the planned network."""
MOST_3D = {"DepthwiseSeparable": 0.8}
"""The same, for volumes only."""
CHANNELS = 64
"""Channels of the modules that are compared with MONAI's."""
MODULE_ROUNDS = 100
"""Rounds of these comparisons, which take milliseconds."""


def main() -> None:
    """Measure, print a table, save after each block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these blocks")
    parser.add_argument("--counts", action="store_true", help="only what is counted from shapes, without times")
    parser.add_argument("--modules", action="store_true", help="only modules beside MONAI's")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = {
        "clock": "CPU time",
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "module rounds": MODULE_ROUNDS,
    }
    results: dict[str, Any] = {}
    modules: dict[str, Any] = {}
    if arguments.out and arguments.out.exists():
        earlier = json.loads(arguments.out.read_text())
        if settings.items() <= earlier.items():
            results, modules = earlier["blocks"], earlier["beside MONAI"]
    for name, pair in [] if arguments.only or modules or arguments.counts else beside_monai():
        modules[name] = paired(pair, baseline="MONAI", rounds=MODULE_ROUNDS, clock=process_time)["ours"]
        print(f"{name:30} {modules[name]['ratio']:.2f} of MONAI's", flush=True)
        if arguments.out:
            save(arguments.out, {**settings, "blocks": results, "beside MONAI": modules})
    for info, dimensions in [] if arguments.modules else blocks():
        row = results.setdefault(info.name, {}).setdefault(f"{dimensions}D", {})
        if arguments.only and info.name not in arguments.only:
            continue
        if "multiply-adds over planned" not in row:
            row |= counted(info, dimensions)
        if "over planned" not in row and not arguments.counts:
            row |= measured(info, dimensions, arguments.rounds)
        show(info.name, f"{dimensions}D", row)
        if arguments.out:
            kept = {name: {key: row for key, row in rows.items() if row} for name, rows in results.items()}
            filled = {name: rows for name, rows in kept.items() if rows}
            save(arguments.out, {**settings, "blocks": filled, "beside MONAI": modules})


def blocks() -> Iterator[tuple[TrickInfo, int]]:
    """Every block, in 2D and 3D as far as it takes them."""
    slots = {f"network.{slot}" for slot in SLOTS}
    for info in CATALOGUE:
        if slots.intersection(info.hooks) and "network.backbone" not in info.hooks and info.name not in ELSEWHERE:
            for dimensions in (2, 3):
                if info.dimensions in (0, dimensions):
                    yield info, dimensions


def beside_monai() -> Iterator[tuple[str, dict[str, Callable[[], None]]]]:
    """Modules that MONAI has too, with the same sizes: a step of ours and one of theirs."""
    from monai.networks.blocks.squeeze_and_excitation import ChannelSELayer
    from monai.networks.nets.attentionunet import AttentionBlock

    for dimensions, size in ((2, (96, 96)), (3, (24, 24, 24))):
        features, signal = (torch.randn(2, CHANNELS, *size, requires_grad=True) for _ in range(2))
        yield (
            f"squeeze-and-excitation, {dimensions}D",
            {
                "ours": _module_step(SqueezeExcitation(CHANNELS, reduction=16), features),
                "MONAI": _module_step(ChannelSELayer(dimensions, CHANNELS, r=16), features),
            },
        )
        kinds = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[dimensions]
        yield (
            f"attention gate, {dimensions}D",
            {
                "ours": _module_step(GatedFeatures(PlannedLayers(*kinds, nn.ReLU)), signal, features),
                "MONAI": _module_step(
                    AttentionBlock(dimensions, f_int=CHANNELS // 2, f_g=CHANNELS, f_l=CHANNELS), signal, features
                ),
            },
        )


class GatedFeatures(nn.Module):
    """Our gate, and the product that the decoder makes with it."""

    def __init__(self, layers: PlannedLayers) -> None:
        """Make the gate."""
        super().__init__()
        self.gate = AttentionGate(CHANNELS, CHANNELS, layers, fine=True)

    def forward(self, signal: Tensor, features: Tensor) -> Tensor:
        """The gated features."""
        return features * self.gate(features, signal, signal)


def _module_step(module: nn.Module, *inputs: Tensor) -> Callable[[], None]:
    def run() -> None:
        module.zero_grad(set_to_none=True)
        module(*inputs).sum().backward()

    return run


def names_of(info: TrickInfo) -> dict[str, str]:
    """The tricks of the network without a block and of the one with it."""
    base = info.beside[0] if info.beside else ""
    return {PLANNED: base, info.name: f"{info.name}_{base}" if base else info.name}


def shape_for(name: str, dimensions: int) -> tuple[int, ...]:
    """The shape of a batch, with as many channels as the network sees."""
    trainer: Any = trainers.find(f"nnUNetTrainer{name}")
    samples, channels, *patch = BATCHES[dimensions]
    seen = trainer.input_channels(channels) if issubclass(trainer, TrickTrainer) else channels
    return (samples, seen, *patch)


def counted(info: TrickInfo, dimensions: int) -> dict[str, Any]:
    """Count what a block costs, from shapes."""
    names = names_of(info)
    costs = {}
    for key, name in names.items():
        network = without_values(partial(built, name, dimensions)).to("meta")
        costs[key] = cost_of(network, shape_for(name, dimensions))
    mine, planned = costs[info.name], costs[PLANNED]
    return {
        "batch": BATCHES[dimensions],
        "beside": names[PLANNED] or PLANNED,
        "million parameters": mine.parameters / 1e6,
        "parameters over planned": mine.parameters / planned.parameters,
        "multiply-adds over planned": mine.multiply_adds / planned.multiply_adds,
        "activations over planned": mine.activations / planned.activations,
    }


def measured(info: TrickInfo, dimensions: int, rounds: int) -> dict[str, Any]:
    """Time a step with a block and one without it, and measure their memory."""
    draw = torch.Generator().manual_seed(0)
    runs = {}
    for key, name in names_of(info).items():
        network = built(name, dimensions)
        runs[key] = step(network, network, torch.rand(shape_for(name, dimensions), generator=draw))
    timed = times(runs, rounds)
    peaks = {key: peak_memory(run, cuda=False) for key, run in runs.items()}
    return {
        "times": timed,
        "over planned": ratios(timed[info.name], timed[PLANNED]),
        "peak memory over planned": peaks[info.name] / peaks[PLANNED],
    }


def show(name: str, dimensions: str, row: Mapping[str, Any]) -> None:
    """Print the figures of a block."""
    limit = {**MOST, **(MOST_3D if dimensions == "3D" else {})}.get(name)
    over = row.get("over planned")
    timed = (
        f"{over['ratio']:.2f} ({over['ratio_low']:.2f} to {over['ratio_high']:.2f}) of a step"
        f"{f', at most {limit}' if limit else ''}; peak memory {row['peak memory over planned']:.2f}; "
        if over
        else ""
    )
    print(
        f"{name:20} {dimensions} of {row['beside']}: {timed}{row['million parameters']:.1f} M parameters, "
        f"{row['parameters over planned']:.2f}; multiply-adds {row['multiply-adds over planned']:.2f}; activations "
        f"{row['activations over planned']:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
