"""Every trick of the catalogue, without a line of code for any of them."""

from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks import trainers
from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import Cell, pairwise
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.trick_info import TrickInfo

every_trick = pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)


def trainer_of(info: TrickInfo) -> type[nnUNetTrainer]:
    trainer = trainers.find(info.trainer)
    assert trainer is not None
    return trainer


@every_trick
@pytest.mark.parametrize("cell", pairwise(), ids=str)
def test_it_holds_wherever_two_circumstances_meet(bench: Bench, info: TrickInfo, cell: Cell) -> None:
    assert bench.check(trainer_of(info), cell).explain() == []


@every_trick
def test_it_keeps_the_contract(info: TrickInfo) -> None:
    assert check_contract(trainer_of(info)).explain() == []


@every_trick
def test_its_loss_holds_in_two_processes(pair: RankPair, info: TrickInfo) -> None:
    assert pair.check(trainer_of(info)).explain() == []


@every_trick
@pytest.mark.parametrize("cell", [Cell("labels", "3d", True), Cell("regions+ignore", "2d", True)], ids=str)
def test_what_it_does_not_claim_is_nnunets_bit_for_bit(bench: Bench, info: TrickInfo, cell: Cell) -> None:
    assert check_baseline(bench, trainer_of(info), info.hooks, cell=cell).explain() == []


def test_no_trick_is_nnunet_bit_for_bit(bench: Bench) -> None:
    trainer = trainers.find("nnUNetTrainer_run2")
    assert trainer is not None
    assert check_baseline(bench, trainer, ()).explain() == []
