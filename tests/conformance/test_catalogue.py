"""Every trick of the catalogue, without a line of code for any of them."""

from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import Situation, pairwise
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers

DATA = {"augmentation", "mirroring", "sampling"}
"""Hooks whose tricks end where the patches are: loss and network, and what becomes of them, are nnU-Net's own."""

STEP = {"optimizer", "schedule"}
"""Hooks whose tricks begin where the gradients are, so that nothing of labels and patches is theirs."""

MIXED = "augmentation.mixing"
"""The exception: patches are mixed where the loss is."""

UP_TO_THE_PATCHES = ("first stage", "build", "train steps", "val step")
TO_THE_END = (*UP_TO_THE_PATCHES, "epochs", "--val", "--c", "predict")
CELLS = pairwise()
WHOLE = (CELLS[0], CELLS[-1])
"""Where tricks that only change the data or the step are trained and predicted with: images, and a cascade."""


def claims_only(info: TrickInfo, hooks: set[str]) -> bool:
    return {hook.partition(".")[0] for hook in info.hooks} <= hooks and MIXED not in info.hooks


def cells_of(info: TrickInfo) -> tuple[Situation, ...]:
    """What nnU-Net does anyway is compared with it bit for bit below."""
    return WHOLE if info.own or claims_only(info, STEP) else CELLS


every_trick = pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)


def trainer_of(info: TrickInfo) -> type[nnUNetTrainer]:
    trainer = trainers.find(info.trainer)
    assert trainer is not None
    return trainer


@pytest.mark.parametrize(
    ("info", "situation"),
    [
        pytest.param(info, situation, id=f"{situation}-{info.name}")
        for info in CATALOGUE
        for situation in cells_of(info)
    ],
)
def test_it_holds_wherever_two_circumstances_meet(bench: Bench, info: TrickInfo, situation: Situation) -> None:
    steps = tuple(STEPS)
    if claims_only(info, DATA | STEP):
        steps = TO_THE_END if situation in WHOLE else UP_TO_THE_PATCHES
    assert bench.check(trainer_of(info), situation, steps=steps).explain() == []


@every_trick
def test_it_keeps_the_contract(info: TrickInfo) -> None:
    assert check_contract(trainer_of(info)).explain() == []


@pytest.mark.parametrize(
    "info", [i for i in CATALOGUE if not claims_only(i, DATA | STEP | {"network"})], ids=lambda info: info.name
)
def test_its_loss_holds_in_two_processes(pair: RankPair, info: TrickInfo) -> None:
    assert pair.check(trainer_of(info)).explain() == []


@every_trick
@pytest.mark.parametrize(
    "situation", [Situation("labels", "3d", True), Situation("regions+ignore", "2d", True)], ids=str
)
def test_what_it_does_not_claim_is_nnunets_bit_for_bit(bench: Bench, info: TrickInfo, situation: Situation) -> None:
    assert check_baseline(bench, trainer_of(info), () if info.own else info.hooks, situation=situation).explain() == []


def test_no_trick_is_nnunet_bit_for_bit(bench: Bench) -> None:
    trainer = trainers.find("nnUNetTrainer_run2")
    assert trainer is not None
    assert check_baseline(bench, trainer, ()).explain() == []
