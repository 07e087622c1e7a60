"""Trainers that say of themselves that they train without labels, and one that says so and does not."""

from __future__ import annotations

from typing import Any

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.conformance.steps import OF_PRETEXT, OF_SEGMENTATION, STEPS
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.pretraining.pretext.masked import nnUNetTrainerPretextMasked
from tests.conformance.situations import WITHOUT_LABELS

TASKS = {info.name: info for info in CATALOGUE if info.place == "task"}


def trainer_of(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


def test_every_task_is_tried() -> None:
    assert set(WITHOUT_LABELS) == set(TASKS)


@pytest.mark.parametrize(
    ("name", "situation"),
    [
        pytest.param(name, situation, id=f"{situation}-{name}")
        for name, situations in WITHOUT_LABELS.items()
        for situation in situations
    ],
)
def test_it_holds(bench: Bench, name: str, situation: Situation) -> None:
    steps = tuple(step for step in STEPS if step != "compile")
    report = bench.check(trainer_of(name), situation, steps=steps)
    assert report.explain() == []
    taken = {outcome.step for outcome in report.outcomes if report.has_passed(outcome.step)}
    assert taken == set(steps) - OF_SEGMENTATION
    assert taken >= OF_PRETEXT


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_it_is_compiled(bench: Bench, name: str, dimension: str) -> None:
    steps = ("build", "compile")
    assert bench.check(trainer_of(name), Situation("labels", dimension, False), steps=steps).explain() == []


@pytest.mark.parametrize("name", TASKS)
def test_what_is_about_labels_is_left_out(pair: RankPair, bench: Bench, name: str) -> None:
    assert check_contract(trainer_of(name)).explain() == []
    assert pair.check(trainer_of(name)).skipped
    assert bench.check(trainer_of(name), Situation("labels", "3d", True), steps=("build",)).skipped


def test_its_network_is_trained_in_two_processes_as_in_one(pair: RankPair) -> None:
    # Without anything that is random the halves of a batch add up to the whole.
    trainer = trainer_of("PretextGenesis_grey0_shuffle0_paint0_noskips")
    assert pair.check_network(trainer, Situation("labels", "3d", False)).explain() == []


@pytest.mark.parametrize("name", ["PretextGenesis", "PretextContrastive"])
def test_what_it_does_not_claim_is_nnunets_bit_for_bit(bench: Bench, name: str) -> None:
    hooks = TASKS[name].claims
    assert check_baseline(bench, trainer_of(name), hooks, situation=Situation("labels", "3d", True)).explain() == []


def test_who_looks_at_labels_nevertheless_is_found_out(bench: Bench) -> None:
    class Peeking(nnUNetTrainerPretextMasked):
        """Moves the truth by the labels."""

        def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
            return super().validation_step({**batch, "data": batch["data"] + batch["target"].float().mean()})

    report = bench.check(Peeking, Situation("labels", "2d", False), steps=("build", "labels"))
    assert any("labels have an effect" in line for line in report.explain())


def test_who_does_not_learn_is_found_out(bench: Bench) -> None:
    class Resting(nnUNetTrainerPretextMasked):
        """Steps along the gradient."""

        def configure_optimizers(self) -> Any:
            optimizer, schedule = super().configure_optimizers()
            for group in optimizer.param_groups:
                group["maximize"] = True
            return optimizer, schedule

    report = bench.check(Resting, Situation("labels", "2d", False), steps=("build", "falls"))
    assert any("leave its loss at" in line for line in report.explain())
