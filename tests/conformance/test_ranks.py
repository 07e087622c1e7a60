from __future__ import annotations

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerTopkLoss import nnUNetTrainerTopk10Loss

from nnunet_tricks.conformance.grid import LABEL_MODES, Situation
from nnunet_tricks.conformance.outcome import Status
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.door.lookup import find_trainer
from tests.conformance import planted


def test_stock_nnunet_holds(pair: RankPair) -> None:
    report = pair.check(nnUNetTrainer)
    assert [outcome.status for outcome in report.outcomes] == [Status.PASS] * 2 * len(LABEL_MODES)


def test_a_network_for_volumes_holds(pair: RankPair) -> None:
    trainer = find_trainer("nnUNetTrainerGenesisUNet3D")
    assert {step.status for step in pair.check(trainer).outcomes} == {Status.PASS}


def test_the_processes_see_different_halves(pair: RankPair) -> None:
    first, second = pair.measure(nnUNetTrainer, "labels", batch_dice=False)
    assert first.alone.loss != second.alone.loss
    assert not torch.equal(first.alone.gradient, second.alone.gradient)
    assert first.joined.loss == second.joined.loss


def test_batch_dice_that_forgets_the_other_process_is_found(pair: RankPair) -> None:
    failures = pair.check(planted.nnUNetTrainerLocalBatchDice).failures
    assert [failure.step for failure in failures] == [f"{labels}, batch Dice" for labels in LABEL_MODES]
    assert "one process on the joined batch" in failures[0].reason


def test_a_loss_that_looks_at_the_other_half_is_found(pair: RankPair) -> None:
    failures = pair.check(planted.nnUNetTrainerGathersAlways).failures
    assert "alone on the same half" in failures[0].reason


def test_a_loss_finds_the_folders_of_its_training(pair: RankPair) -> None:
    assert pair.check(planted.nnUNetTrainerWritesWhereItIs).explain() == []


def test_a_loss_that_is_no_mean_over_samples_is_not_judged_by_the_joined_batch(pair: RankPair) -> None:
    outcomes = {outcome.step: outcome for outcome in pair.check(nnUNetTrainerTopk10Loss).outcomes}
    assert outcomes["labels, sample Dice"].status is Status.PASS
    assert outcomes["labels, batch Dice"].status is Status.NOT_APPLICABLE
    assert "regions not supported" in outcomes["regions, sample Dice"].reason


def test_a_trainer_that_other_processes_cannot_import_is_told(pair: RankPair) -> None:
    reasons = {failure.reason for failure in pair.check(planted.nnUNetTrainerLost).failures}
    assert len(reasons) == 1
    assert "nnUNetTrainerLost" in reasons.pop()


def test_stock_nnunet_trains_in_two_processes_as_in_one(pair: RankPair) -> None:
    assert pair.check_network(nnUNetTrainer, Situation("regions+ignore", "2d", True)).explain() == []


def test_a_layer_that_loses_its_activation_is_found(pair: RankPair) -> None:
    (reason,) = pair.check_network(planted.nnUNetTrainerFusedLayers, Situation("labels", "2d", False)).explain()
    assert "may have lost its activation" in reason


def test_a_weight_without_gradient_is_found(pair: RankPair) -> None:
    (reason,) = pair.check_network(planted.nnUNetTrainerIdleWeight, Situation("labels", "2d", False)).explain()
    assert "did not receive grad" in reason or "finished reduction" in reason


@pytest.mark.parametrize("trainer", [nnUNetTrainer])
def test_a_process_that_dies_is_told(trainer: type[nnUNetTrainer]) -> None:
    with RankPair() as own:
        own._processes[1].kill()
        reasons = [failure.reason for failure in own.check(trainer).failures]
    assert reasons[0] == "a process ended without an answer"
    assert set(reasons[1:]) == {"the two processes are gone"}
