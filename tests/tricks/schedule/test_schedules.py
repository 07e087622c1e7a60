"""Schedules: against nnU-Net's and torch's own, and what goes on where a training goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.lr_scheduler.warmup import Lin_incr_LRScheduler, PolyLRScheduler_offset
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.lr_scheduler import StepLR as TorchStepLR

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.schedule.plateau import after_losses
from nnunet_tricks.tricks.schedule.step import stepped
from nnunet_tricks.tricks.schedule.warmup import warmed_up

CELL = Situation("labels", "2d", True)


def made(bench: Bench, name: str) -> nnUNetTrainer:
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, CELL) as run:
        return run.build(untouched=True)


def rates(trainer: nnUNetTrainer, epochs: range) -> list[float]:
    learning_rates = []
    for epoch in epochs:
        trainer.lr_scheduler.step(epoch)
        learning_rates.append(trainer.optimizer.param_groups[0]["lr"])
    return learning_rates


def optimizer(rate: float = 0.01) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=rate)


def test_a_constant_rate_stays(bench: Bench) -> None:
    assert set(rates(made(bench, "ConstantLR"), range(0, 1000, 50))) == {0.01}


@pytest.mark.parametrize("exponent", [1, 2])
def test_poly_has_the_exponent(bench: Bench, exponent: int) -> None:
    theirs = PolyLRScheduler(optimizer(), 0.01, 20, exponent=exponent)
    learning_rates = rates(made(bench, f"PolyLR_exponent{exponent}_20epochs"), range(20))
    for epoch, rate in enumerate(learning_rates):
        theirs.step(epoch)
        assert theirs.get_last_lr() == [rate]


@given(st.integers(1, 40), st.floats(0.01, 1), st.integers(0, 200))
def test_steps_are_torchs(every: int, factor: float, epochs: int) -> None:
    theirs = TorchStepLR(inner := optimizer(1.0), every, factor)
    for epoch in range(epochs):
        assert stepped(epoch, length=every, factor=factor) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)
        inner.step()
        theirs.step()


def test_the_ife_papers_step_is_at_half_of_any_training(bench: Bench) -> None:
    for epochs in (4, 30, 1000):
        length = "" if epochs == 1000 else f"_{epochs}epochs"
        learning_rates = rates(made(bench, f"IFE2D{length}"), range(epochs))
        assert learning_rates == pytest.approx([1e-4] * (epochs // 2) + [1e-5] * (epochs // 2))


def test_a_step_that_is_never_reached_is_in_the_log(bench: Bench) -> None:
    cls = trainers.find("nnUNetTrainerStepLR_20epochs")
    assert cls is not None
    with bench.room(cls, CELL) as run:
        log = Path(run.build(untouched=True).log_file).read_text()
    assert "the learning rate never falls, the first step is at epoch 50 of 20" in log


@given(
    st.lists(st.floats(-2, 2, allow_nan=False), max_size=40),
    st.floats(0.1, 0.9),
    st.integers(0, 5),
)
def test_a_plateau_is_torchs_even_if_the_training_goes_on_somewhere(
    losses: list[float], factor: float, patience: int
) -> None:
    theirs = ReduceLROnPlateau(inner := optimizer(), factor=factor, patience=patience)
    for epoch, loss in enumerate(losses):
        assert after_losses(losses[:epoch], 0.01, factor=factor, patience=patience) == inner.param_groups[0]["lr"]
        theirs.step(loss)


def test_a_plateau_follows_nnunets_validation_loss(bench: Bench) -> None:
    trainer = made(bench, "PlateauLR_patience2")
    for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.0, 2.0, 1.0]):
        trainer.logger.log("val_losses", loss, epoch)
    assert rates(trainer, range(7)) == pytest.approx([0.01] * 5 + [0.001] * 2)
    again = made(bench, "PlateauLR_patience2")
    again.logger.load_checkpoint(trainer.logger.get_checkpoint())
    assert rates(again, range(6, 7)) == pytest.approx([0.001])


def test_the_rise_is_that_of_nnunets_own_trainer() -> None:
    up, down = Lin_incr_LRScheduler(optimizer(), 0.01, 50), PolyLRScheduler_offset(optimizer(), 0.01, 1000, 50)
    for epoch in (*range(60), 500, 999):
        theirs = up if epoch < 50 else down
        theirs.step(epoch)
        assert warmed_up(epoch, 0.01, length=50, epochs=1000) == theirs.optimizer.param_groups[0]["lr"]


def test_a_rise_that_does_not_end_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="length of Warmup must be less than the 30 epochs of the training, got 50"):
        made(bench, "Warmup_30epochs")
    assert rates(made(bench, "Warmup_length3_30epochs"), range(3)) == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])


@pytest.mark.filterwarnings("ignore:.*scheduler")
def test_the_rate_follows_the_optimizers(bench: Bench) -> None:
    for schedule in ("CosAnneal", "ConstantLR", "StepLR", "PlateauLR", "Warmup_length1", "PolyLR"):
        trainer = made(bench, f"Adam_lr3em4_{schedule}")
        assert rates(trainer, range(1)) == pytest.approx([3e-4])
