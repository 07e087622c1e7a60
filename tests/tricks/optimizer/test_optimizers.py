"""Optimisers: nnU-Net's own ones bit for bit, and the papers' settings."""

from __future__ import annotations

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.lr_schedule.nnUNetTrainerCosAnneal import nnUNetTrainerCosAnneal
from nnunetv2.training.nnUNetTrainer.variants.optimizer import nnUNetTrainerAdam as variants

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers

CELL = Situation("labels", "2d", True)


def found(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


def made(bench: Bench, name: str) -> nnUNetTrainer:
    with bench.room(found(name), CELL) as run:
        return run.build(untouched=True)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("Adam_run2", variants.nnUNetTrainerAdam),
        ("Adam_lr0p001", variants.nnUNetTrainerAdam1en3),
        ("Adam_lr3em4", variants.nnUNetTrainerAdam3en4),
        ("VanillaAdam_run2", variants.nnUNetTrainerVanillaAdam),
        ("VanillaAdam_lr0p001", variants.nnUNetTrainerVanillaAdam1en3),
        ("VanillaAdam_lr3em4", variants.nnUNetTrainerVanillaAdam3en4),
        ("CosAnneal_run2", nnUNetTrainerCosAnneal),
        ("SGD_momentum0p99_decay3em5_nesterov", nnUNetTrainer),
        ("SGD_momentum0p99_decay3em5_nesterov_PolyLR_run2", nnUNetTrainer),
    ],
)
def test_what_nnunet_has_too_is_the_same_bit_for_bit(bench: Bench, name: str, theirs: type[nnUNetTrainer]) -> None:
    assert check_baseline(bench, found(name), (), base=theirs, situation=CELL).explain() == []


def test_an_optimizer_and_a_schedule_are_set_independently(bench: Bench) -> None:
    for name in ("Adam", "VanillaAdam_lr3em4", "SGD"):
        both, alone = made(bench, f"{name}_CosAnneal"), made(bench, name)
        assert type(both.optimizer) is type(alone.optimizer)
        assert both.optimizer.defaults == alone.optimizer.defaults
        assert isinstance(both.lr_scheduler, torch.optim.lr_scheduler.CosineAnnealingLR)
        assert both.lr_scheduler.optimizer is both.optimizer


@pytest.mark.parametrize(
    ("base", "kind", "settings"),
    [
        ("MedISeg2D", torch.optim.Adam, {"lr": 3e-4, "weight_decay": 5e-4, "amsgrad": False}),
        ("MedISeg3D", torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": False}),
        ("IFE2D", torch.optim.Adam, {"lr": 1e-4, "weight_decay": 0.0}),
    ],
)
def test_the_papers_train_so(bench: Bench, base: str, kind: type, settings: dict[str, float]) -> None:
    trainer = made(bench, base)
    assert type(trainer.optimizer) is kind
    (group,) = trainer.optimizer.param_groups
    assert {key: group[key] for key in settings} == settings
    assert (trainer.initial_lr, trainer.weight_decay) == (settings["lr"], settings["weight_decay"])


def test_the_published_code_can_be_spelled(bench: Bench) -> None:
    optimizer = made(bench, "MedISeg2D_VanillaAdam_lr3em4_decay1em5_beta0p99_CosAnneal").optimizer
    assert optimizer.defaults["betas"] == (0.9, 0.99)
    assert optimizer.defaults["weight_decay"] == 1e-5


def test_nesterov_without_momentum_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="nesterov looks ahead along the momentum, got momentum 0"):
        made(bench, "SGD_momentum0_nesterov")


@pytest.mark.parametrize("name", ["SGD_momentum1", "Adam_lr0", "VanillaAdam_beta1", "SGD_decay2"])
def test_what_cannot_train_is_refused_with_the_range(name: str) -> None:
    with pytest.raises(IllegalName, match=r"must be a number from"):
        parse(f"nnUNetTrainer{name}")
