"""Tricks of pretrained weights, each beside what it needs: the harness gives them random numbers for weights."""

from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import combine, completed
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from tests.conformance.situations import SOLID, WITH_WEIGHTS

WEIGHTS = [info for info in CATALOGUE if info.place == "weights"]
COMPILED = "EncoderLR_Pretrained"


def trainer_of(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_it_holds(bench: Bench, name: str) -> None:
    steps = tuple(step for step in STEPS if step != "compile" or name == COMPILED)
    assert bench.check(trainer_of(name), WITH_WEIGHTS[name], steps=steps).explain() == []


@pytest.mark.parametrize("info", WEIGHTS, ids=lambda info: info.name)
def test_it_keeps_the_contract(info: TrickInfo) -> None:
    assert check_contract(trainer_of(info.name)).explain() == []
    assert check_contract(trainer_of(str(completed(combine(info.name))).removeprefix("nnUNetTrainer"))).explain() == []


@pytest.mark.parametrize("name", ["Pretrained", "Freeze_Pretrained", "LayerDecay_Pretrained"])
def test_what_it_does_not_claim_is_nnunets_bit_for_bit(bench: Bench, name: str) -> None:
    assert check_baseline(bench, trainer_of(name), ("weights",), situation=SOLID).explain() == []
