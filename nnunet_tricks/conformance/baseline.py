"""A trick changes what it claims and nothing else: two trainers with one seed, compared bit for bit.

Both are observed: what they build, what they draw, what they compute. Each observation names the hooks that may change
it. A difference that the trick's hooks do not explain is a fault, and so is a trick that makes no difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy
from itertools import chain
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.checks import equal
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.outcome import ConformanceReport, NotApplicableError, Status, StepOutcome, one_line
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.schedule.stop_early import Stopped

BATCHES = 2
EPOCHS = (0, 1, 100, 999)
"""Epochs whose learning rates are compared."""

_DRAWN = ("sampling", "augmentation", "mirroring")
_TARGETS = ("targets", "labels", "supervision", "network.backbone")
_WHOLE_SLOTS = {"network.backbone", "network.input"}
"""Slots whose claim allows more than that of their hook."""
_OF_GROWN_DATA = "semisupervised.cases"
"""Slot that does something in data sets of ``annotate grow`` only, and the data here are none."""
_COMPUTED = ("task", "loss", "semisupervised", "network", "weights", *_DRAWN, *_TARGETS)

EXCUSED_BY = {
    "network": ("network", "task"),
    "initial weights": ("network", "weights", "task"),
    "optimizer": ("optimizer", "network", "weights", "task"),
    "learning rates": ("schedule", "optimizer", "weights"),
    "epochs": ("schedule",),
    "end of a training that stands still": ("stopping",),
    "sampling": ("sampling",),
    "cases drawn": ("sampling",),
    "training patches": (*_DRAWN, "network.input"),
    "training targets": (*_DRAWN, *_TARGETS),
    "validation patches": ("sampling", "network.input"),
    "validation targets": ("sampling", *_TARGETS),
    "levels of supervision": ("supervision", "network.backbone"),
    "weights of supervision": ("supervision", "network.backbone"),
    "mirroring": ("mirroring",),
    "mirroring at inference": ("mirroring", "inference"),
    "loss": _COMPUTED,
    "trained weights": (*_COMPUTED, "optimizer", "schedule"),
}
"""Observations, each with the hooks whose claim allows a difference. Levels of supervision are those of the network."""

SITUATION = Situation("labels", "3d", True)
"""Default situation in which trainers are compared."""


def observe(run: Run, seed: int = 0) -> dict[str, Any]:
    """Observe everything that a trainer does from a seed.

    Args:
        run: The trainer in its situation.
        seed: Seed, set again before each random part. So a trick that draws more numbers in one place, such as an
            augmentation, does not shift later parts.

    Returns:
        One value for each key of ``EXCUSED_BY``.
    """
    seed_everything(seed)
    trainer = run.build(untouched=True)
    *_, mirror_axes = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    seen: dict[str, Any] = {
        "network": str(trainer.network),
        "initial weights": deepcopy(trainer.network.state_dict()),
        "optimizer": (type(trainer.optimizer), _settings(trainer.optimizer)),
        "learning rates": _learning_rates(trainer),
        "epochs": (trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch),
        "sampling": (
            trainer.batch_size,
            trainer.oversample_foreground_percent,
            trainer.probabilistic_oversampling,
            trainer.do_split(),
        ),
        "levels of supervision": trainer._get_deep_supervision_scales(),
        "weights of supervision": getattr(trainer.loss, "weight_factors", None),
        "mirroring": mirror_axes,
        "mirroring at inference": trainer.inference_allowed_mirroring_axes,
    }
    seen["end of a training that stands still"] = _end_of_standstill(run)
    trainer.on_train_start()
    training = _draw(trainer.dataloader_train, seed)
    validation = _draw(trainer.dataloader_val, seed)
    seen["cases drawn"] = [list(batch["keys"]) for batch in training + validation]
    seen["training patches"] = [batch["data"] for batch in training]
    seen["training targets"] = [_rest(batch) for batch in training]
    seen["validation patches"] = [batch["data"] for batch in validation]
    seen["validation targets"] = [_rest(batch) for batch in validation]
    seed_everything(seed)
    trainer.on_train_epoch_start()
    losses = [float(trainer.train_step(deepcopy(batch))["loss"]) for batch in training]
    seen["loss"] = losses[0]  # the next one is after a step of the optimizer
    seen["trained weights"] = trainer.network.state_dict()
    return seen


def check_baseline(
    bench: Bench,
    trainer: type[nnUNetTrainer],
    hooks: Collection[str],
    *,
    base: type[nnUNetTrainer] = nnUNetTrainer,
    situation: Situation = SITUATION,
) -> ConformanceReport:
    """Compare a trainer with its baseline.

    Args:
        bench: Bench to work on.
        trainer: The trainer with the trick.
        hooks: Hooks that the trick claims in the catalogue; empty for a trainer that switches nothing.
        base: The trainer without the trick.
        situation: The situation of both.

    Returns:
        One step per observation: passed if both are equal, not applicable if the trick claims the difference.
    """
    claimed = {hook.partition(".")[0] for hook in hooks} | _WHOLE_SLOTS.intersection(hooks)
    try:
        theirs = _observed_once(bench, base, situation)
        with bench.room(trainer, situation) as run:
            mine = observe(run)
    except NotApplicableError as nothing:
        return ConformanceReport(
            trainer.__name__, f"as {base.__name__}", (StepOutcome("observe", Status.NOT_APPLICABLE, str(nothing)),)
        )
    except Exception as error:
        return ConformanceReport(
            trainer.__name__, f"as {base.__name__}", (StepOutcome("observe", Status.FAIL, one_line(error)),)
        )
    outcomes = [_judge(name, equal(mine[name], theirs[name]), claimed, base.__name__) for name in EXCUSED_BY]
    # Where each voxel has a label, there is nothing else to learn from.
    idle = not situation.ignore or _OF_GROWN_DATA in hooks
    expected = claimed - {"semisupervised"} if idle else claimed
    if expected and all(outcome.status is Status.PASS for outcome in outcomes):
        outcomes.append(StepOutcome("effect", Status.FAIL, f"claims {', '.join(sorted(claimed))}, but changes nothing"))
    return ConformanceReport(trainer.__name__, f"as {base.__name__}", tuple(outcomes))


def _observed_once(bench: Bench, base: type[nnUNetTrainer], situation: Situation) -> dict[str, Any]:
    """What the baseline does; the same seed on the same data need not be tried again for the next trick."""
    if (base, situation) not in bench.baselines:
        with bench.room(base, situation) as run:
            bench.baselines[base, situation] = observe(run)
    return bench.baselines[base, situation]


def _judge(name: str, same: bool, claimed: set[str], base: str) -> StepOutcome:
    if same:
        return StepOutcome(name, Status.PASS)
    excuse = sorted(claimed & set(EXCUSED_BY[name]))
    if excuse:
        return StepOutcome(name, Status.NOT_APPLICABLE, f"differs, as {', '.join(excuse)} may")
    claims = ", ".join(sorted(claimed)) or "nothing"
    return StepOutcome(name, Status.FAIL, f"not as in {base}, although the trick claims {claims}")


def _draw(loader: Iterator[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    batches = []
    for number in range(BATCHES):
        seed_everything(seed + number)
        batches.append(next(loader))
    return batches


def _settings(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Settings of an optimizer without its rate, which the schedule sets; the first one is in ``initial_lr``."""
    return [
        {key: value for key, value in group.items() if key not in ("params", "lr")}
        | {"shapes": [p.shape for p in group["params"]]}
        for group in optimizer.param_groups
    ]


def _end_of_standstill(run: Run) -> int | None:
    """The epoch that does not begin if neither loss nor Dice of validation patches ever changes; None if all begin."""
    trainer = run.build(untouched=True, continue_training=True)  # without a network
    for epoch in range(trainer.num_epochs):
        trainer.current_epoch = epoch
        try:
            trainer.on_epoch_start()
        except Stopped:
            return epoch
        for key in ("mean_fg_dice", "val_losses"):
            trainer.logger.log(key, 0.5, epoch)
    return None


def _learning_rates(trainer: nnUNetTrainer) -> list[float]:
    optimizer, schedule = trainer.configure_optimizers()
    rates = []
    for epoch in EPOCHS:
        schedule.step(epoch)
        rates.append([group["lr"] for group in optimizer.param_groups])
    return list(chain.from_iterable(rates))


def _rest(batch: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in batch.items() if key not in ("data", "keys")}
