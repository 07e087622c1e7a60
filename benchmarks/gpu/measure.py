"""Step time and memory of losses, instructive features, networks and augmentation on a GPU, in eight minutes at most.

    python measure.py --out results.json                  # on a machine with CUDA
    python measure.py --cpu --quick --out results.json    # the same code on tiny patches, without a GPU

It is one file, and needs torch with torchvision, the wheels that ``pack.py`` has packed, and nothing else: neither
data nor a network.
Everything is measured beside nnU-Net's own, in rounds whose order changes: losses on logits of 2x3x128x128x128 and
12x3x512x512, whole training steps with autocast on patches of these sizes, torch.compile, and DDP with two processes
on one device. What the time does not suffice for is listed as left out, and not guessed. Each part is saved when it is
done, so that a run that is cut short has results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

MINUTES = 8.0
RESERVE = 20.0
"""Seconds that are kept for saving and ending."""

PARTS = {"losses": 0.3, "steps": 0.4, "networks": 0.65, "compile": 0.8, "augmentation": 0.9, "ddp": 1.0}
"""Each part, and the share of the time at which it must have ended, in their order."""

LOGITS = {"2d": (12, 3, 512, 512), "3d": (2, 3, 128, 128, 128)}
QUICK = {"2d": (2, 3, 64, 64), "3d": (1, 3, 32, 32, 32)}
FEATURES = {"2d": [32, 64, 128, 256, 512, 512, 512, 512], "3d": [32, 64, 128, 256, 320, 320]}
"""Widths that nnU-Net plans for such patches."""

QUICK_STAGES = 3
ROUNDS, QUICK_ROUNDS = 15, 2
STEPS, QUICK_STEPS = 8, 2
CLASSES = 3
ENHANCED = ("IFERandom", "IFECurvature", "IFEEntropy")
PACKAGES = ("nnunet_tricks", "nnunetv2", "torch", "numpy", "batchgeneratorsv2", "timm")


class Budget:
    """The time that is left.

    Attributes:
        left_out: What was not measured, since the time was over.
    """

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self._began, self._seconds, self._end = time.monotonic(), seconds, 1.0
        self.left_out: list[str] = []

    def until(self, share: float) -> None:
        """Set the share of the time at which the next part must have ended."""
        self._end = share

    def over(self, what: str) -> bool:
        """Whether the time of the part is over; then the thing is noted as left out."""
        ended = time.monotonic() - self._began > self._seconds * self._end
        if ended:
            self.left_out.append(what)
        return ended

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began


def main(words: Sequence[str] | None = None) -> int:
    """Measure all parts, and save after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results.json"))
    parser.add_argument("--cpu", action="store_true", help="measure on the CPU: to try the script, not for figures")
    parser.add_argument("--quick", action="store_true", help="tiny patches and few rounds")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="these networks (default: all, or two if quick)")
    arguments = parser.parse_args(words)
    # Before torch is imported: nnU-Net would compile whatever it can.
    os.environ.setdefault("nnUNet_compile", "f")
    import torch

    if not arguments.cpu and not torch.cuda.is_available():
        print("no GPU is here: add --cpu --quick to try the script", file=sys.stderr)
        return 2
    device = torch.device("cpu" if arguments.cpu else "cuda:0")
    budget = Budget(max(60 * arguments.minutes - RESERVE, 1.0))
    results: dict[str, Any] = {"machine": machine(device), "quick": arguments.quick, "minutes": arguments.minutes}
    settings = Settings(device, arguments.quick, budget, arguments.networks)
    for name, share in PARTS.items():
        if name not in arguments.only:
            continue
        budget.until(share)
        print(f"\n{name} ({budget.spent:.0f} s so far)", flush=True)
        try:
            results[name] = MEASURES[name](settings)
        except Exception as error:  # one part must not cost the others
            results[name] = {"error": f"{type(error).__name__}: {error}"}
            print(f"  {results[name]['error']}", flush=True)
        save(arguments.out, {**results, "left_out": budget.left_out, "seconds": round(budget.spent, 1)})
    print(f"\nWritten: {arguments.out} after {budget.spent:.0f} s; left out: {', '.join(budget.left_out) or 'nothing'}")
    return 0


class Settings:
    """What all parts share.

    Attributes:
        device: Device to measure on.
        quick: Whether patches are tiny.
        budget: Time that is left.
        networks: Names of networks to measure; None for the usual ones.
    """

    def __init__(self, device: Any, quick: bool, budget: Budget, networks: Sequence[str] | None) -> None:
        """Keep them."""
        self.device, self.quick, self.budget, self.networks = device, quick, budget, networks

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Batch, classes or channels, and patch of both dimensions."""
        return QUICK if self.quick else LOGITS

    @property
    def rounds(self) -> int:
        """Rounds of losses."""
        return QUICK_ROUNDS if self.quick else ROUNDS

    @property
    def steps(self) -> int:
        """Rounds of training steps."""
        return QUICK_STEPS if self.quick else STEPS

    @property
    def is_cuda(self) -> bool:
        """Whether there is a GPU."""
        return bool(self.device.type == "cuda")


def machine(device: Any) -> dict[str, Any]:
    """Card, driver's CUDA, processor and versions."""
    import torch

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = ""
    known: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": versions,
        "card": "none (CPU)",
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        known |= {
            "card": card.name,
            "memory_gib": round(card.total_memory / 2**30, 1),
            "capability": f"{card.major}.{card.minor}",
            "cuda": torch.version.cuda,
        }
    return known


def save(file: Path, results: Mapping[str, Any]) -> None:
    """Write results, completely or not at all."""
    beside = file.with_name(file.name + ".part")
    beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)


# ---- measuring


def compared(runs: Mapping[str, Callable[[], object]], settings: Settings, rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of each run, the ratio to the first, and peak memory above what was there before.

    Runs take turns, in an order that changes. What runs out of memory has an error in place of numbers.
    """
    import torch

    times: dict[str, list[float]] = {name: [] for name in runs}
    rows: dict[str, dict[str, Any]] = {name: {} for name in runs}
    alive = dict(runs)
    for name, run in runs.items():
        try:
            rows[name] = {"peak_mib": peak(run, settings)}
        except torch.cuda.OutOfMemoryError:
            rows[name] = {"error": "out of memory"}
            del alive[name]
            torch.cuda.empty_cache()
    names = list(alive)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(timed(alive[name], settings))
    first = names[0]
    for name in names:
        ratios = sorted(own / other for own, other in zip(times[name], times[first], strict=True))
        rows[name] |= {"milliseconds": round(1000 * median(times[name]), 3), "ratio": round(median(ratios), 4)}
    for name, row in rows.items():
        words = row.get("error") or f"{row['milliseconds']:10.2f} ms  x {row['ratio']:6.3f}  {row['peak_mib']:8.0f} MiB"
        print(f"  {name:40} {words}", flush=True)
    return rows


def timed(run: Callable[[], object], settings: Settings) -> float:
    """Seconds of one call, until the device has ended it."""
    import torch

    if settings.is_cuda:
        torch.cuda.synchronize()
    began = time.perf_counter() if settings.is_cuda else time.process_time()
    run()
    if settings.is_cuda:
        torch.cuda.synchronize()
        return time.perf_counter() - began
    return time.process_time() - began


def peak(run: Callable[[], object], settings: Settings) -> float:
    """MiB that a call needs at its highest, above what was there. The first of two calls warms up; 0 on a CPU."""
    import torch

    run()
    if not settings.is_cuda:
        return 0.0
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)


# ---- losses


def losses(settings: Settings) -> dict[str, Any]:
    """Forward and backward of every loss of the catalogue, against nnU-Net's Dice and cross-entropy."""
    from nnunet_tricks.training.criterion import Criterion

    results = {}
    criteria, makers = built_losses(settings)
    for dimension, shape in settings.shapes.items():
        print(f" {dimension}, {'x'.join(map(str, shape))}", flush=True)
        logits, target = logits_and_target(shape, settings.device)
        runs = {}
        for name, criterion in criteria.items():
            if settings.budget.over(f"loss {name} in {dimension}"):
                continue
            if isinstance(criterion, Criterion):
                # Maps are made on the CPU, as in the loading processes.
                criterion.maps, criterion.progress = truths_maps(makers.get(name), target), 0.5
            runs[name] = partial(loss_step, criterion, logits, target)
        if runs:
            results[dimension] = {"shape": shape, "losses": compared(runs, settings, settings.rounds)}
    return results


def built_losses(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """nnU-Net's default loss and every loss of the catalogue as its trainer builds it; and makers of their maps."""
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    from nnunet_tricks.catalogue import CATALOGUE
    from nnunet_tricks.conformance.bench import Bench
    from nnunet_tricks.conformance.grid import Situation
    from nnunet_tricks.door import trainers
    from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer

    dice = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    built: dict[str, Any] = {"nnU-Net's Dice and CE": DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)}
    makers: dict[str, Any] = {}
    names = [info.name for info in CATALOGUE if "loss" in info.hooks and not info.base]
    with Bench() as bench:
        for name in names[:: 6 if settings.quick else 1]:
            if settings.budget.over(f"loss {name}"):
                continue
            trainer = trainers.find(f"nnUNetTrainer{name}")
            if trainer is None:
                continue
            with bench.room(trainer, Situation("labels", "3d", False)) as room:
                made = room.build()
                built[name] = made.loss.to(settings.device) if hasattr(made.loss, "to") else made.loss
                if isinstance(made, MappedLossTrainer):
                    makers[name] = made.maps_of_truth
    return built, makers


def truths_maps(maker: Any, target: Any) -> Any:
    """Maps that the loader would add to the target; None for a loss that reads none."""
    import torch

    from nnunet_tricks.tricks.targets.maps import AppendMaps

    if maker is None:
        return None
    append = AppendMaps(maker.map_of_kinds, maker.layout, (1.0,) * (target.ndim - 2))
    joined = torch.stack([append(segmentation=sample)["segmentation"] for sample in target.cpu()])
    return maker.layout.split(joined)[1].to(target.device)


def logits_and_target(shape: Sequence[int], device: Any) -> tuple[Any, Any]:
    """Random logits, and blobs of each class in nnU-Net's target layout."""
    import torch
    import torch.nn.functional as F  # noqa: N812, its standard name

    torch.manual_seed(0)
    logits = torch.randn(tuple(shape))
    coarse = torch.randn(*shape[:2], *(side // 16 for side in shape[2:]))
    target = F.interpolate(coarse, size=tuple(shape[2:])).argmax(1, keepdim=True).to(torch.int16)
    return logits.to(device).requires_grad_(), target.to(device)


def loss_step(criterion: Any, logits: Any, target: Any) -> None:
    """Forward and backward once."""
    logits.grad = None
    criterion(logits, target).backward()


# ---- whole steps


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


def free(settings: Settings) -> None:
    """Give back what networks held."""
    import gc

    import torch

    gc.collect()
    if settings.is_cuda:
        torch.cuda.empty_cache()


# ---- torch.compile


def compiled(settings: Settings) -> dict[str, Any]:
    """Training steps of the planned network as it is and compiled, and how long compiling takes."""
    import torch

    results = {}
    for dimension in settings.shapes:
        if settings.budget.over(f"torch.compile in {dimension}"):
            continue
        network = network_of("nnUNetTrainer", dimension, settings)
        # On a CPU the code generator may have no compiler: the graph alone is enough to try the script.
        backend = "inductor" if settings.is_cuda else "aot_eager"
        runs = {"eager": training_step(network, dimension, settings)}
        fast = training_step(torch.compile(network, backend=backend), dimension, settings)
        began = time.perf_counter()
        fast()
        seconds = time.perf_counter() - began
        runs["compiled"] = fast
        results[dimension] = {
            "backend": backend,
            "seconds_to_compile": round(seconds, 1),
            "steps": compared(runs, settings, settings.steps),
        }
        free(settings)
    return results


# ---- augmentation


def augmentation(settings: Settings) -> dict[str, Any]:
    """Milliseconds of a patch in nnU-Net's default augmentation, in ours to the last bit, and in FastDA.

    It runs in loading processes on the CPU, so these are CPU times of one thread. The rate that a GPU needs is that of
    its steps, which stand in the other parts.
    """
    import numpy as np
    import torch
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_tricks.nnunet.sandbox import seed_everything
    from nnunet_tricks.training.resampling.exact_augmentation import WithExactLabels
    from nnunet_tricks.tricks.augmentation.fast_da import fast

    torch.set_num_threads(1)
    results = {}
    for dimension, (_, _, *patch) in settings.shapes.items():
        angle = float(np.pi) if len(patch) == 2 else float(np.pi) / 6
        stock = nnUNetTrainer.get_training_transforms
        exact = WithExactLabels(stock, print)
        settings_of_transforms: dict[str, Any] = {
            "patch_size": tuple(patch),
            "rotation_for_DA": (-angle, angle),
            "deep_supervision_scales": [[1 / 2**level] * len(patch) for level in range(QUICK_STAGES - 1)],
            "mirror_axes": tuple(range(len(patch))),
            "do_dummy_2d_data_aug": False,
            "use_mask_for_norm": [False] * (3 if len(patch) == 2 else 1),
            "foreground_labels": list(range(1, CLASSES)),
        }
        ways = {
            "nnU-Net": stock(**settings_of_transforms),
            "exact": exact(**settings_of_transforms),
            "FastDA": fast(exact(**settings_of_transforms)),
        }
        read = tuple(map(int, get_patch_size(patch, *[(-angle, angle)] * 3, (0.85, 1.25))))
        image = torch.rand(3 if len(patch) == 2 else 1, *read)
        _, target = logits_and_target((1, CLASSES, *(side // 16 * 16 for side in read)), torch.device("cpu"))
        labels = torch.zeros(1, *read, dtype=torch.int16)
        inside = (slice(None), *(slice(0, side) for side in target.shape[2:]))
        labels[inside] = target[0]
        times: dict[str, list[float]] = {name: [] for name in ways}
        for draw in range(3 if settings.quick else 20):
            for name, transform in ways.items():
                if settings.budget.over(f"draw {draw} of {name} in {dimension}"):
                    continue
                seed_everything(draw)
                began = time.process_time()
                transform(image=image.clone(), segmentation=labels.clone())
                times[name].append(time.process_time() - began)
        known = {name: 1000 * sum(values) / len(values) for name, values in times.items() if values}
        results[dimension] = {
            name: {"milliseconds": round(value, 1), "ratio": round(value / known["nnU-Net"], 3)}
            for name, value in known.items()
        }
        for name, row in results[dimension].items():
            print(f"  {dimension} {name:20} {row['milliseconds']:10.1f} ms  x {row['ratio']:6.3f}", flush=True)
    return results


# ---- two processes on one device


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


MEASURES: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "losses": losses,
    "steps": enhanced,
    "networks": other_networks,
    "compile": compiled,
    "augmentation": augmentation,
    "ddp": two_processes,
}


if __name__ == "__main__":
    sys.exit(main())
