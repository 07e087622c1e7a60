"""Forward and backward of every loss."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from benchmarks.gpu.failures import noted
from benchmarks.gpu.settings import Measurements, Settings
from benchmarks.gpu.targets import logits_and_target
from benchmarks.gpu.timing import compared

NNUNET = "nnU-Net's Dice and CE"


class BuiltLosses(NamedTuple):
    """Losses as their trainers build them, by name.

    Attributes:
        criteria: The losses.
        makers: Makers of the maps that some of them read.
        failed: An error for each that could not be built.
    """

    criteria: dict[str, Any]
    makers: dict[str, Any]
    failed: dict[str, Any]


def losses(settings: Settings) -> Measurements:
    """Forward and backward of every loss of the catalogue, against nnU-Net's Dice and cross-entropy."""
    built = built_losses(settings)
    for dimension in settings.shapes:
        if not settings.budget.over(f"losses in {dimension}"):
            yield dimension, partial(losses_in, dimension, built, settings)


def losses_in(dimension: str, built: BuiltLosses, settings: Settings) -> dict[str, Any]:
    """All losses on logits of one dimension."""
    from nnunet_tricks.training.criterion import Criterion

    shape = settings.shapes[dimension]
    print(f" {dimension}, {'x'.join(map(str, shape))}", flush=True)
    logits, target = logits_and_target(shape, settings.device)
    runs = {}
    failed = dict(built.failed)
    for name, criterion in built.criteria.items():
        if settings.budget.over(f"loss {name} in {dimension}"):
            continue
        with noted(failed, name):
            if isinstance(criterion, Criterion):
                # Maps are made on the CPU, as in the loading processes.
                criterion.maps, criterion.progress = truths_maps(built.makers.get(name), target), 0.5
            runs[name] = partial(loss_step, criterion, logits, target)
    rows = compared(runs, NNUNET, settings, settings.rounds, f"losses in {dimension}")
    return {"shape": shape, "losses": rows | failed}


def built_losses(settings: Settings) -> BuiltLosses:
    """nnU-Net's default loss and every loss of the catalogue as its trainer builds it."""
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    from nnunet_tricks.catalogue import CATALOGUE
    from nnunet_tricks.conformance.bench import Bench
    from nnunet_tricks.conformance.grid import Situation
    from nnunet_tricks.door import trainers
    from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer

    dice = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    plain = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    built = BuiltLosses({NNUNET: plain}, {}, {})
    names = [info.name for info in CATALOGUE if "loss" in info.hooks and not info.base]
    with Bench() as bench:
        for name in names[:: 6 if settings.quick else 1]:
            if settings.budget.over(f"loss {name}"):
                continue
            with noted(built.failed, name):
                trainer = trainers.find(f"nnUNetTrainer{name}")
                if trainer is None:
                    continue
                with bench.room(trainer, Situation("labels", "3d", False)) as room:
                    made = room.build()
                    built.criteria[name] = made.loss.to(settings.device) if hasattr(made.loss, "to") else made.loss
                    if isinstance(made, MappedLossTrainer):
                        built.makers[name] = made.maps_of_truth
    return built


def truths_maps(maker: Any, target: Any) -> Any:
    """Maps that the loader would add to the target; None for a loss that reads none."""
    import torch

    from nnunet_tricks.tricks.targets.maps import AppendMaps

    if maker is None:
        return None
    append = AppendMaps(maker.map_of_kinds, maker.layout, (1.0,) * (target.ndim - 2))
    joined = torch.stack([append(segmentation=sample)["segmentation"] for sample in target.cpu()])
    return maker.layout.split(joined)[1].to(target.device)


def loss_step(criterion: Any, logits: Any, target: Any) -> None:
    """Forward and backward once."""
    logits.grad = None
    criterion(logits, target).backward()
