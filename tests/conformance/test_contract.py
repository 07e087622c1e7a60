from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.contract import check_contract
from tests.conformance import planted


def every_subclass(kind: type[nnUNetTrainer]) -> set[type[nnUNetTrainer]]:
    return {kind}.union(*map(every_subclass, kind.__subclasses__()))


def test_nnunets_own_trainers_keep_it() -> None:
    own = [kind for kind in every_subclass(nnUNetTrainer) if kind.__module__.startswith("nnunetv2.")]
    assert own
    assert [line for kind in own for line in check_contract(kind).explain()] == []


@pytest.mark.parametrize(
    ("trainer", "step", "reason"),
    [
        (planted.nnUNetTrainerExtraArgument, "__init__", "alpha"),
        (planted.nnUNetTrainerInstanceNetwork, "build_network_architecture", "staticmethod or a classmethod"),
        (planted.nnUNetTrainerOldHook, "hooks", "train_step takes (data, epoch)"),
        (planted.nnUNetTrainerTwo__Names, "name", "'__'"),
    ],
)
def test_a_breach_is_found(trainer: type[nnUNetTrainer], step: str, reason: str) -> None:
    (failure,) = check_contract(trainer).failures
    assert failure.step == step
    assert reason in failure.reason


def test_a_hook_may_take_more_than_it_is_given() -> None:
    assert check_contract(planted.nnUNetTrainerOwnExtras).passed
