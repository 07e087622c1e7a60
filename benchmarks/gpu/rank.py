"""One of the processes that share a batch in DDP."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gpu.budget import Budget
from benchmarks.gpu.settings import CLASSES, Settings
from benchmarks.gpu.steps import network_of
from benchmarks.gpu.targets import logits_and_target


def train(rank: int, folder: str, trainer: str, device_type: str, quick: bool) -> None:
    """Some steps on this process's half of the batch; the answer is ``rank0.json`` or ``rank1.json`` in the folder."""
    import torch

    from nnunet_tricks.conformance.bench import Bench
    from nnunet_tricks.conformance.grid import Situation
    from nnunet_tricks.conformance.rank_group import group
    from nnunet_tricks.door import trainers

    if sys.platform == "linux":
        # Machines that cannot resolve their own name are common.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    device = torch.device(device_type if device_type == "cpu" else "cuda:0")
    settings = Settings(device, quick, Budget(600), None)
    found = trainers.find(trainer)
    if found is None:
        raise ValueError(f"there is no trainer {trainer}")
    # With deep supervision, as in nnU-Net: without it some weights have no gradient, which DDP refuses.
    network = network_of(trainer, "3d", settings, deep=True)
    with Bench() as bench, bench.room(found, Situation("labels", "3d", False)) as room:
        made = room.build()
        made.configuration_manager.configuration["batch_dice"] = True
        alone = made._build_loss().to(device)
        # nnU-Net's constructor would ask for a GPU for each process, so the group comes after it.
        with group(rank, (Path(folder) / "store").absolute()):
            made.is_ddp, made.local_rank = True, rank
            shared = made._build_loss().to(device)
            answer = {
                "loss_in_ddp": knows_of_others(shared),
                **compared_losses(rank, alone, shared, settings),
                **steps(rank, network, shared, settings),
            }
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(answer), encoding="utf-8")


def knows_of_others(loss: Any) -> bool:
    """Whether a loss, or the Dice inside nnU-Net's own, adds up what all processes have."""
    return any(getattr(module, "ddp", False) for module in loss.modules())


def compared_losses(rank: int, alone: Any, shared: Any, settings: Settings) -> dict[str, float]:
    """The loss of this process's half of a batch of two, and the loss of one process on all of it.

    The last class is in the second sample alone. So a loss with batch Dice that forgets the other process is wrong.
    """
    logits, target = logits_and_target((2, CLASSES, *settings.shapes["3d"][2:]), settings.device)
    target[0][target[0] == CLASSES - 1] = 0
    half = slice(rank, rank + 1)
    return {
        "loss": float(shared(logits[half], target[half]).detach()),
        "loss_of_joined_batch": float(alone(logits, target).detach()),
    }


def steps(rank: int, network: Any, loss: Any, settings: Settings) -> dict[str, Any]:
    """Train the network in DDP: its weights in the end, and the median time of a step after the first."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    parallel = DistributedDataParallel(network, device_ids=[0] if settings.is_cuda else None)
    _, _, *patch = settings.shapes["3d"]
    torch.manual_seed(rank)
    image = torch.rand(1, 1, *patch).to(settings.device)
    _, target = logits_and_target((1, CLASSES, *patch), settings.device)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=1e-3)
    times = []
    for _ in range(3 if settings.quick else 6):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda") if settings.is_cuda else nullcontext():
            value = deep_loss(loss, parallel(image), target)
        value.backward()
        optimizer.step()
        if settings.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return {"weights": weights_sum(network), "milliseconds": 1000 * median(times[1:])}


def deep_loss(loss: Any, outputs: Sequence[Any], target: Any) -> Any:
    """Sum of the losses of all levels, each with half the weight of the level before."""
    levels = []
    for level, output in enumerate(outputs):
        steps = tuple(
            slice(None, None, full // size) for full, size in zip(target.shape[2:], output.shape[2:], strict=True)
        )
        place = (slice(None), slice(None), *steps)
        levels.append(loss(output, target[place]) / 2**level)
    return sum(levels)


def weights_sum(network: Any) -> str:
    """SHA-256 over all weights."""
    from hashlib import sha256

    content = sha256()
    for _, weight in sorted(network.named_parameters()):
        content.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
