from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerCELoss import nnUNetTrainerCELoss
from nnunetv2.training.nnUNetTrainer.variants.lr_schedule.nnUNetTrainerCosAnneal import nnUNetTrainerCosAnneal
from nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerBN import nnUNetTrainerBN
from nnunetv2.training.nnUNetTrainer.variants.optimizer.nnUNetTrainerAdam import nnUNetTrainerAdam
from nnunetv2.training.nnUNetTrainer.variants.sampling.nnUNetTrainer_probabilisticOversampling import (
    nnUNetTrainer_probabilisticOversampling,
)

from nnunet_tricks.catalogue.info import HOOKS
from nnunet_tricks.conformance.baseline import EXCUSED_BY, check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from tests.conformance import planted

CLAIMS = [
    (nnUNetTrainerCELoss, "loss"),
    (nnUNetTrainerNoMirroring, "mirroring"),
    (nnUNetTrainerCosAnneal, "schedule"),
    (nnUNetTrainerBN, "network"),
    (nnUNetTrainerAdam, "optimizer"),
    (nnUNetTrainer_probabilisticOversampling, "sampling"),
]


def test_a_trainer_is_itself_bit_for_bit(bench: Bench) -> None:
    assert check_baseline(bench, nnUNetTrainer, ()).explain() == []


@pytest.mark.parametrize(("trainer", "hook"), CLAIMS)
def test_what_is_claimed_may_differ(bench: Bench, trainer: type[nnUNetTrainer], hook: str) -> None:
    assert check_baseline(bench, trainer, (hook,)).explain() == []


@pytest.mark.parametrize(("trainer", "hook"), CLAIMS)
def test_what_is_not_claimed_may_not(bench: Bench, trainer: type[nnUNetTrainer], hook: str) -> None:
    report = check_baseline(bench, trainer, ("inference",))
    assert report.failures
    assert all(hook in EXCUSED_BY[failure.step] for failure in report.failures)


def test_a_silent_change_is_found(bench: Bench) -> None:
    report = check_baseline(bench, planted.nnUNetTrainerSilentLearningRate, ("loss",))
    assert {"optimizer", "learning rates"} <= {failure.step for failure in report.failures}


def test_a_claim_without_effect_is_found(bench: Bench) -> None:
    (failure,) = check_baseline(bench, planted.nnUNetTrainerOwnExtras, ("loss",)).failures
    assert failure.reason == "claims loss, but changes nothing"


def test_a_slot_of_a_hook_is_a_claim(bench: Bench) -> None:
    assert check_baseline(bench, nnUNetTrainerBN, ("network.norm",)).passed


def test_a_trainer_that_cannot_run_here_says_so(bench: Bench) -> None:
    (failure,) = check_baseline(
        bench, nnUNetTrainerCELoss, ("loss",), situation=Situation("regions", "2d", True)
    ).failures
    assert "regions not supported" in failure.reason


def test_excuses_are_hooks_of_the_catalogue() -> None:
    assert {hook.partition(".")[0] for hook in set().union(*EXCUSED_BY.values())} <= set(HOOKS)
