"""A trainer's network in two processes that share a batch, as with ``nnUNetv2_train -num_gpus 2``; on the CPU.

nnU-Net replaces batch norm layers by such that share statistics, and wraps the network by DDP, which stops at weights
without a gradient. After some steps both processes must have the same weights. They must be those of one process that
saw both halves of each batch, with the layers that the network has without nnU-Net's replacement: one that loses an
activation computes something else.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.checks import require
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.rank_group import SAMPLES, group, half_of, joined_target
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.nnunet import patches
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.trainer import TrickTrainer

STEPS = 2
"""Training steps. DDP complains in the second one about what the first left out."""
TOLERANCE = 0.01
"""Relative to all that was trained. Sums of halves are rounded otherwise than sums of the whole."""


@dataclass(frozen=True)
class RankTraining:
    """What became of a network in one process.

    Attributes:
        losses: Losses of the steps.
        weights: Sum (sha256) over all weights and statistics.
        difference: Distance of the weights from those of one process, relative to what was trained.
    """

    losses: tuple[float, ...]
    weights: str
    difference: float


def train_network(
    bench: Bench, trainer: type[nnUNetTrainer], rank: int, store: Path, situation: Situation
) -> RankTraining:
    """Train a network on this process's half of a batch, and alone on the whole.

    Args:
        bench: Bench to work on.
        trainer: Class of the trainer.
        rank: Number of this process.
        store: File in which the processes find each other.
        situation: Situation of the trainer; no cascade, whose first stage would have to be trained before.

    Raises:
        NotApplicableError: If the trainer has no place in that situation.
    """
    with bench.room(trainer, situation) as room:
        plans = deepcopy(room.data.plans)
        for configuration in plans["configurations"].values():
            # Without batch Dice the loss is a mean over the samples, so halves add up to the whole.
            configuration |= {"batch_size": SAMPLES, "batch_dice": False}
        run = Run(trainer, situation, replace(room.data, plans=plans), room.folder)
        seed_everything(0)
        alone = run.build()
        before = deepcopy(alone.network.state_dict())
        target = joined_target(alone)
        channels = alone.num_input_channels
        data = torch.randn(
            SAMPLES,
            alone.input_channels(channels) if isinstance(alone, TrickTrainer) else channels,
            *alone.configuration_manager.patch_size,
            generator=torch.Generator().manual_seed(0),
        )
        _steps(alone, data, target)
        shared = run.build(continue_training=True)
        with group(rank, store), patches.several_processes_on_the_cpu():
            # The constructor of a trainer that finds a group asks for a GPU, so the group comes after it.
            shared.is_ddp, shared.local_rank = True, rank
            shared.initialize()
            shared.network.module.load_state_dict(before)
            half = half_of(rank)
            losses = _steps(shared, data[half], [level[half] for level in target])
    after = shared.network.module.state_dict()
    return RankTraining(losses, _sum(after), _difference(after, alone.network.state_dict(), before))


def require_same_training(answers: list[RankTraining]) -> None:
    """Compare what the processes say.

    Raises:
        ViolationError: If losses are not finite, or weights differ.
    """
    for rank, answer in enumerate(answers):
        require(bool(np.isfinite(answer.losses).all()), f"losses of process {rank}: {answer.losses}")
    require(len({answer.weights for answer in answers}) == 1, "the processes end with different weights")
    difference = max(answer.difference for answer in answers)
    require(
        difference <= TOLERANCE,
        f"two processes train other weights than one on the joined batch: they differ by {difference:.2g} of what was "
        "trained. A layer behind nnU-Net's conversion to SyncBatchNorm may have lost its activation",
    )


def _steps(trainer: nnUNetTrainer, data: Tensor, target: list[Tensor]) -> tuple[float, ...]:
    network = trainer.network.train()
    for module in network.modules():
        # Halves would drop other values than the whole.
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif type(module).__name__.startswith("DropPath"):
            module.drop_prob = 0.0
    losses = []
    for _ in range(STEPS):
        levels = [level.clone() for level in target]
        batch: dict[str, Any] = {"data": data, "target": levels if trainer.enable_deep_supervision else levels[0]}
        losses.append(float(np.mean(trainer.train_step(batch)["loss"])))
    return tuple(losses)


def _sum(weights: dict[str, Tensor]) -> str:
    content = sha256()
    for name in sorted(weights):
        content.update(weights[name].contiguous().numpy().tobytes())
    return content.hexdigest()


def _difference(mine: dict[str, Tensor], theirs: dict[str, Tensor], before: dict[str, Tensor]) -> float:
    names = [name for name, weight in theirs.items() if weight.is_floating_point()]
    apart = sum(float((mine[name] - theirs[name]).double().square().sum()) for name in names)
    trained = sum(float((theirs[name] - before[name]).double().square().sum()) for name in names)
    return float((apart / max(trained, 1e-24)) ** 0.5)
