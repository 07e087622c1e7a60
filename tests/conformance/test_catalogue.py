"""Every trick of the catalogue, without a line of code for any of them."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import DEEP_SUPERVISION, DIMENSIONS, LABEL_MODES, Situation, pairwise
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers

DATA = {"augmentation", "mirroring", "sampling"}
"""Hooks whose tricks end where the patches are: loss and network, and what becomes of them, are nnU-Net's own."""

STEP = {"optimizer", "schedule"}
"""Hooks whose tricks begin where the gradients are, so that nothing of labels and patches is theirs."""

MIXED = "augmentation.mixing"
"""The exception: patches are mixed where the loss is."""

LOSS = {"loss", "targets", "supervision"}
"""Hooks whose tricks end where the gradient of the logits is. What checkpoints, validation and prediction make of a
network is nnU-Net's own then, and the same in every situation."""

NETWORK = {"network"}
"""Hooks whose tricks are between image and logits, where labels are only the number of channels of the last layer."""

END = ("epochs", "--val", "--c", "predict")
UP_TO_THE_PATCHES = ("first stage", "build", "train steps", "val step")
UP_TO_THE_GRADIENT = tuple(step for step in STEPS if step not in END)
TO_THE_END = (*UP_TO_THE_PATCHES, *END)
SITUATIONS = pairwise()
WHOLE = (SITUATIONS[0], SITUATIONS[-1])
"""Where tricks of data, loss and step are trained to the end and predicted with: images, and a cascade."""
ONE_CASCADE = tuple(situation for situation in SITUATIONS if situation.dimension != "cascade" or situation in WHOLE)
"""For a loss, patches of a cascade are those of a volume: any two other circumstances meet, flat or in a volume."""


def shapes_of_networks() -> tuple[Situation, ...]:
    """Every dimension meets deep supervision on and off, and each kind of labels occurs."""
    chosen = list(WHOLE)
    while missing := [
        situation
        for situation in SITUATIONS
        if all((situation.dimension, situation.deep_supervision) != (c.dimension, c.deep_supervision) for c in chosen)
    ]:
        chosen.append(max(missing, key=lambda situation: situation.labels not in {c.labels for c in chosen}))
    return tuple(chosen)


def claims_within(info: TrickInfo, hooks: set[str]) -> bool:
    return {hook.partition(".")[0] for hook in info.hooks} <= hooks


def claims_only(info: TrickInfo, hooks: set[str]) -> bool:
    return claims_within(info, hooks) and MIXED not in info.hooks


def situations_of(info: TrickInfo) -> tuple[Situation, ...]:
    """What nnU-Net does anyway is compared with it bit for bit below."""
    if info.own or claims_only(info, STEP):
        return WHOLE
    if claims_only(info, NETWORK):
        return shapes_of_networks()
    return ONE_CASCADE if claims_only(info, {"loss"}) else SITUATIONS


def steps_of(info: TrickInfo, situation: Situation) -> tuple[str, ...]:
    """What the trick can have an effect on there."""
    if claims_only(info, DATA | STEP):
        return TO_THE_END if situation in WHOLE else UP_TO_THE_PATCHES
    return UP_TO_THE_GRADIENT if claims_within(info, LOSS | DATA | STEP) and situation not in WHOLE else tuple(STEPS)


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
        for situation in situations_of(info)
    ],
)
def test_it_holds_wherever_two_circumstances_meet(bench: Bench, info: TrickInfo, situation: Situation) -> None:
    assert bench.check(trainer_of(info), situation, steps=steps_of(info, situation)).explain() == []


def test_losses_and_networks_meet_their_pairs() -> None:
    """Of what a loss sees, any two; of what a network is made for, any two, and each kind of labels."""
    seen = {(situation.labels, situation.dimension == "2d", situation.deep_supervision) for situation in ONE_CASCADE}
    for first, second in combinations(range(3), 2):
        values = [sorted({entry[place] for entry in seen}) for place in (first, second)]
        assert set(product(*values)) == {(entry[first], entry[second]) for entry in seen}
    made = shapes_of_networks()
    assert {(s.dimension, s.deep_supervision) for s in made} == set(product(DIMENSIONS, DEEP_SUPERVISION))
    assert {situation.labels for situation in made} == set(LABEL_MODES)


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
