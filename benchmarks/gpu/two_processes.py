"""DDP with two processes on one device."""

from __future__ import annotations

import json
import tempfile
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


def two_processes(settings: Settings) -> dict[str, Any]:
    """DDP with two processes on one device: that both end with the same weights, and what a step takes.

    Two processes share the card, so a step is not faster than in one. NCCL refuses two processes on one card, so gloo
    carries the gradients. What this shows is that losses and networks work in DDP on a GPU.
    """
    import torch
    from torch.multiprocessing.spawn import spawn

    results: dict[str, Any] = {}
    for name in ("DiceOHEM",) if settings.quick else ("", "DiceOHEM", "IFECurvature"):
        trainer = f"nnUNetTrainer{name}"
        if settings.budget.over(f"DDP of {trainer}"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            arguments = (folder, trainer, settings.device.type, settings.quick)
            spawn(_rank, args=arguments, nprocs=2)  # type: ignore[no-untyped-call]
            answers = [json.loads((Path(folder) / f"rank{rank}.json").read_text()) for rank in range(2)]
        same = answers[0]["weights"] == answers[1]["weights"]
        results[trainer] = {"same_weights": same, "milliseconds": answers[0]["milliseconds"]}
        print(f"  {trainer:40} same weights: {same}, {answers[0]['milliseconds']:.1f} ms", flush=True)
        if settings.is_cuda:
            torch.cuda.empty_cache()
    return results


def _rank(rank: int, folder: str, trainer: str, device_type: str, quick: bool) -> None:
    """One of the processes: some steps of its own half of the batch."""
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    from nnunet_tricks.conformance.bench import Bench
    from nnunet_tricks.conformance.grid import Situation
    from nnunet_tricks.door import trainers

    device = torch.device(device_type if device_type == "cpu" else "cuda:0")
    settings = Settings(device, quick, Budget(600), None)
    # With deep supervision, as in nnU-Net: without it some weights have no gradient, which DDP refuses.
    network = network_of(trainer, "3d", settings, deep=True)
    found = trainers.find(trainer)
    if found is None:
        raise ValueError(f"there is no trainer {trainer}")
    with Bench() as bench, bench.room(found, Situation("labels", "3d", False)) as room:
        loss = room.build().loss
    place = (Path(folder) / "store").absolute().as_uri()
    distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
    parallel = DistributedDataParallel(network, device_ids=None if device.type == "cpu" else [0])
    _, _, *patch = settings.shapes["3d"]
    torch.manual_seed(rank)
    image = torch.rand(1, 1, *patch).to(device)
    _, target = logits_and_target((1, CLASSES, *patch), device)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=1e-3)
    times = []
    for _ in range(3 if quick else 6):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda") if settings.is_cuda else nullcontext():
            value = deep_loss(loss, parallel(image), target)
        value.backward()
        optimizer.step()
        if settings.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    answer = {"weights": weights_sum(network), "milliseconds": 1000 * median(times[1:])}
    (Path(folder) / f"rank{rank}.json").write_text(json.dumps(answer))
    distributed.destroy_process_group()


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
