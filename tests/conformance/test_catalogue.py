"""Every trick of the catalogue, without a line of code for any of them."""

from __future__ import annotations

from itertools import product

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import DEEP_SUPERVISION, DIMENSIONS, FULL_GRID, LABEL_MODES, Situation, pairwise
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from tests.conformance.situations import (
    HEAVY,
    STEP,
    claims_only,
    claims_within,
    is_network,
    is_part_of_network,
    needs_others,
    situations_of,
)

DATA = {"augmentation", "mirroring", "sampling"}
"""Hooks whose tricks end where the patches are: loss and network, and what becomes of them, are nnU-Net's own."""

LOSS = {"loss", "targets", "supervision"}
"""Hooks whose tricks end where the gradient of the logits is. What checkpoints, validation and prediction make of a
network is nnU-Net's own then, and the same in every situation."""

CHECKED = tuple(info for info in CATALOGUE if info.place != "task" and not needs_others(info))
"""What this file checks. Tricks that need others beside them, such as pretrained weights, are in
``test_pretrained.py``; those that learn without labels are in ``test_without_labels.py``."""

END = ("epochs", "--val", "--c", "predict")
UP_TO_THE_PATCHES = ("first stage", "build", "train steps", "val step")
UP_TO_THE_GRADIENT = tuple(step for step in STEPS if step not in END)
UP_TO_THE_GRADIENT_UNCOMPILED = tuple(step for step in UP_TO_THE_GRADIENT if step != "compile")
TO_THE_END = (*UP_TO_THE_PATCHES, *END)

COMPILED_NETWORKS = ("EfficientNetLite0UNet", "SegResNet", "ViTB16")
"""Networks that are compiled here: convolutions in 2D and 3D, and attention. Torch needs longer for it than for all
other steps together, so the slow tests compile the rest."""

SEVERAL_PROCESSES = ("EfficientNetLite0UNet", "GenesisUNet3D")
"""Networks that two processes train here, one with layers that normalise and activate in one. The slow tests take all
of them."""


def steps_of(info: TrickInfo, situation: Situation) -> tuple[str, ...]:
    """What the trick can have an effect on there.

    Tricks of data, loss and step are trained to the end and predicted with in two situations: images, and a cascade.
    The compiler takes longer than all other steps. So it meets two situations of a trick, and few networks.
    """
    situations = situations_of(info)
    whole = situation in (situations[0], situations[-1])
    if claims_only(info, DATA | STEP):
        return TO_THE_END if whole else UP_TO_THE_PATCHES
    steps = UP_TO_THE_GRADIENT if claims_within(info, LOSS | DATA | STEP) and not whole else tuple(STEPS)
    if info.name in HEAVY:
        return UP_TO_THE_GRADIENT_UNCOMPILED
    turn = CATALOGUE.index(info)
    # Not by the turn alone: labels and shapes alternate with it, and some of them would never meet the compiler.
    compiled = situation in situations[(turn + turn // len(LABEL_MODES)) % 2 : len(LABEL_MODES) : 2]
    if is_part_of_network(info):
        # Any rhythm but those of labels and shapes; a test below says whether all of them are met.
        compiled = situation == situations[turn // 3 % len(situations)]
    if is_network(info):
        compiled = situation == situations[turn // 3 % len(situations)] and info.name in COMPILED_NETWORKS
    return tuple(step for step in steps if compiled or step != "compile")


every_trick = pytest.mark.parametrize("info", CHECKED, ids=lambda info: info.name)


def trainer_of(info: TrickInfo) -> type[nnUNetTrainer]:
    trainer = trainers.find(info.trainer)
    assert trainer is not None
    return trainer


@pytest.mark.parametrize(
    ("info", "situation"),
    [
        pytest.param(info, situation, id=f"{situation}-{info.name}")
        for info in CHECKED
        for situation in situations_of(info)
    ],
)
def test_it_holds_in_its_share_of_the_grid(bench: Bench, info: TrickInfo, situation: Situation) -> None:
    report = bench.check(trainer_of(info), situation, steps=steps_of(info, situation))
    assert report.explain() == []
    # Only a trick that switches deep supervision off has no business where it is on.
    assert not report.skipped or (situation.deep_supervision and "supervision" in info.hooks)


@pytest.mark.slow
@every_trick
@pytest.mark.parametrize("situation", pairwise(), ids=str)
def test_it_holds_wherever_two_circumstances_meet(bench: Bench, info: TrickInfo, situation: Situation) -> None:
    assert bench.check(trainer_of(info), situation).explain() == []


@pytest.mark.parametrize("info", list(filter(is_network, CHECKED)), ids=lambda info: info.name)
def test_a_network_meets_its_own_images_only(info: TrickInfo) -> None:
    situations = situations_of(info)
    assert {s.dimension == "2d" for s in situations} == {info.dimensions == 2}
    assert len({s.labels for s in situations}) == len(situations)
    assert any(s.deep_supervision for s in situations) == ("supervision" not in info.hooks)


@pytest.mark.parametrize(
    "info",
    [i for i in CHECKED if not (i.own or claims_only(i, STEP) or is_network(i) or is_part_of_network(i))],
    ids=lambda info: info.name,
)
def test_a_trick_meets_labels_and_shapes(info: TrickInfo) -> None:
    situations = situations_of(info)
    assert {s.dimension for s in situations} == set(DIMENSIONS)
    flat = {(s.dimension == "2d", s.deep_supervision) for s in situations}
    assert flat == set(product((True, False), DEEP_SUPERVISION))
    assert {s.labels for s in situations} == set(LABEL_MODES)


def test_parts_of_the_network_together_meet_labels_and_shapes() -> None:
    parts = [info for info in CHECKED if is_part_of_network(info)]
    met = {situation for info in parts for situation in situations_of(info)}
    assert {s.labels for s in met} == set(LABEL_MODES)
    assert {(s.dimension, s.deep_supervision) for s in met} == set(product(DIMENSIONS, DEEP_SUPERVISION))
    assert all({s.dimension == "2d" for s in situations_of(info)} == {True, False} for info in parts)


@pytest.mark.parametrize("hooks", [{"loss"}, LOSS, DATA], ids=lambda hooks: " ".join(sorted(hooks)))
def test_a_family_meets_the_whole_grid(hooks: set[str]) -> None:
    met = {situation for info in CHECKED if claims_only(info, hooks) for situation in situations_of(info)}
    assert met == set(FULL_GRID)


@pytest.mark.parametrize("hooks", [{"loss"}, {"network"}], ids=lambda hooks: " ".join(hooks))
def test_the_compiler_meets_all_labels_and_shapes_in_a_family(hooks: set[str]) -> None:
    family = [info for info in CHECKED if claims_only(info, hooks) and not info.own and not is_network(info)]
    compiled = {s for info in family for s in situations_of(info) if "compile" in steps_of(info, s)}
    assert {s.labels for s in compiled} == set(LABEL_MODES)
    assert {(s.dimension, s.deep_supervision) for s in compiled} == set(product(DIMENSIONS, DEEP_SUPERVISION))
    assert all(any("compile" in steps_of(info, s) for s in situations_of(info)) for info in family)


@every_trick
def test_it_keeps_the_contract(info: TrickInfo) -> None:
    assert check_contract(trainer_of(info)).explain() == []


@pytest.mark.parametrize(
    "info",
    [i for i in CHECKED if not claims_only(i, DATA | STEP | {"network"}) and not is_network(i)],
    ids=lambda info: info.name,
)
def test_its_loss_holds_in_two_processes(pair: RankPair, info: TrickInfo) -> None:
    assert pair.check(trainer_of(info)).explain() == []


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(info, id=info.name, marks=() if info.name in SEVERAL_PROCESSES else pytest.mark.slow)
        for info in filter(is_network, CHECKED)
    ],
)
def test_its_network_is_trained_in_two_processes_as_in_one(pair: RankPair, info: TrickInfo) -> None:
    situation = Situation("labels", f"{info.dimensions}d", "supervision" not in info.hooks)
    assert pair.check_network(trainer_of(info), situation).explain() == []


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
