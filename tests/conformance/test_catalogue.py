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

DATA = {"augmentation", "mirroring", "sampling"}
"""Hooks whose tricks end where the patches are: loss and network, and what becomes of them, are nnU-Net's own."""

STEP = {"optimizer", "schedule", "stopping"}
"""Hooks whose tricks begin where the gradients are, so that nothing of labels and patches is theirs."""

MIXED = "augmentation.mixing"
"""The exception: patches are mixed where the loss is."""

LOSS = {"loss", "targets", "supervision"}
"""Hooks whose tricks end where the gradient of the logits is. What checkpoints, validation and prediction make of a
network is nnU-Net's own then, and the same in every situation."""

CHECKED = tuple(info for info in CATALOGUE if info.place != "weights")
"""What this file checks. Tricks of pretrained weights need others beside them, see ``test_pretrained.py``."""

NETWORK = {"network"}
"""Hooks whose tricks are between image and logits, where labels are only the number of channels of the last layer."""

END = ("epochs", "--val", "--c", "predict")
UP_TO_THE_PATCHES = ("first stage", "build", "train steps", "val step")
UP_TO_THE_GRADIENT = tuple(step for step in STEPS if step not in END)
UP_TO_THE_GRADIENT_UNCOMPILED = tuple(step for step in UP_TO_THE_GRADIENT if step != "compile")
TO_THE_END = (*UP_TO_THE_PATCHES, *END)

SHAPES = tuple(product(DIMENSIONS, DEEP_SUPERVISION))
"""Every dimension with deep supervision on and off: what a trick that touches patches meets."""

FEWER_SHAPES = (
    (("2d", True), ("2d", False), ("3d", True), ("cascade", False)),
    (("2d", True), ("2d", False), ("3d", False), ("cascade", True)),
)
"""What a trick of the loss or the network meets, by turns. To both of them a patch of a cascade is one of a volume: a
loss sees no images, and a network sees one channel more."""


NETWORKS = {
    (2, True): (("2d", True), ("2d", False)),
    (2, False): (("2d", False), ("2d", False)),
    (3, False): (("3d", False), ("cascade", False)),
}
"""What a network meets that takes images with so many axes, with outputs of several sizes or with one."""


HEAVY = ("SwinUNETR", "VNet")
"""Networks that need minutes for what takes others seconds, as their patches are padded to 32 voxels or more: they are
neither compiled here nor predicted with. The slow tests do both."""


def is_network(info: TrickInfo) -> bool:
    return "network.backbone" in info.hooks


def situations_of(info: TrickInfo) -> tuple[Situation, ...]:
    """Each kind of labels occurs, flat and in a volume, with deep supervision on and off.

    Which labels meet which shape is another choice for each trick, so that the catalogue has the whole grid. What
    nnU-Net does anyway is compared with it bit for bit below.
    """
    turn = CATALOGUE.index(info)
    within = any(claims_only(info, hooks) for hooks in ({"loss"}, NETWORK))
    shapes = FEWER_SHAPES[turn // len(LABEL_MODES) % len(FEWER_SHAPES)] if within else SHAPES
    if is_network(info):
        shapes = NETWORKS[info.dimensions, "supervision" not in info.hooks]
        # The classes of a first stage are channels too, and V-Net does not take every number of them.
        shapes = shapes[:1] if info.name in HEAVY else shapes
    chosen = tuple(
        Situation(LABEL_MODES[(turn + place) % len(LABEL_MODES)], *shape) for place, shape in enumerate(shapes)
    )
    return (chosen[0], chosen[-1]) if info.own or claims_only(info, STEP) else chosen


def claims_within(info: TrickInfo, hooks: set[str]) -> bool:
    return {hook.partition(".")[0] for hook in info.hooks} <= hooks


def claims_only(info: TrickInfo, hooks: set[str]) -> bool:
    return claims_within(info, hooks) and MIXED not in info.hooks


def steps_of(info: TrickInfo, situation: Situation) -> tuple[str, ...]:
    """What the trick can have an effect on there.

    Tricks of data, loss and step are trained to the end and predicted with in two situations: images, and a cascade.
    The compiler, which takes longer than all other steps, meets each kind of labels once.
    """
    situations = situations_of(info)
    whole = situation in (situations[0], situations[-1])
    if claims_only(info, DATA | STEP):
        return TO_THE_END if whole else UP_TO_THE_PATCHES
    steps = UP_TO_THE_GRADIENT if claims_within(info, LOSS | DATA | STEP) and not whole else tuple(STEPS)
    if info.name in HEAVY:
        return UP_TO_THE_GRADIENT_UNCOMPILED
    compiled = situation in situations[: 1 if is_network(info) else len(LABEL_MODES)]
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
    [i for i in CHECKED if not i.own and not claims_only(i, STEP) and not is_network(i)],
    ids=lambda info: info.name,
)
def test_a_trick_meets_labels_and_shapes(info: TrickInfo) -> None:
    situations = situations_of(info)
    assert {s.dimension for s in situations} == set(DIMENSIONS)
    flat = {(s.dimension == "2d", s.deep_supervision) for s in situations}
    assert flat == set(product((True, False), DEEP_SUPERVISION))
    assert {s.labels for s in situations} == set(LABEL_MODES)
    if "compile" in steps_of(info, situations[0]):
        compiled = {s for s in situations if "compile" in steps_of(info, s)}
        assert {s.labels for s in compiled} == set(LABEL_MODES)
        assert {(s.dimension == "2d", s.deep_supervision) for s in compiled} == flat


@pytest.mark.parametrize("hooks", [{"loss"}, LOSS, DATA], ids=lambda hooks: " ".join(sorted(hooks)))
def test_a_family_meets_the_whole_grid(hooks: set[str]) -> None:
    met = {situation for info in CHECKED if claims_only(info, hooks) for situation in situations_of(info)}
    assert met == set(FULL_GRID)


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
