"""Trainings that end early: when, with which learning rates, and after an interruption."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.checks import equal
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet import checkpoint
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.schedule.progress import standstill

CELL = Situation("labels", "2d", True)
NEVER_BETTER = "gain1"
"""No Dice is better than another one by more than 1."""


class Killed(Exception):
    """What ends a training from outside."""


@contextmanager
def room(bench: Bench, name: str) -> Iterator[Run]:
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, CELL) as run:
        yield run


def trained(run: Run, *, killed_at: int | None = None, resumed: bool = False) -> nnUNetTrainer:
    """A training from a seed, perhaps killed as an epoch begins, perhaps continued."""
    seed_everything(0)
    trainer = run.build(continue_training=resumed)
    maybe_load_checkpoint(trainer, resumed, False)
    trainer.save_every = 1
    begin = trainer.on_train_epoch_start

    def on_train_epoch_start() -> None:
        if trainer.current_epoch == killed_at:
            raise Killed
        begin()

    trainer.on_train_epoch_start = on_train_epoch_start
    trainer.run_training()
    return trainer


def lrs(trainer: nnUNetTrainer) -> list[float]:
    return list(trainer.logger.get_value("lrs", step=None))


def log_of(trainer: nnUNetTrainer) -> str:
    return "".join(file.read_text() for file in sorted(Path(trainer.output_folder).glob("training_log*.txt")))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 10), st.sampled_from([0, 0.01, 0.2]))
def test_patience_is_counted_from_the_best_value_of_nnunets_own_mean(
    values: list[float], patience: int, gain: float
) -> None:
    logger = MetaLogger("", False)
    for epoch, value in enumerate(values):
        logger.log("mean_fg_dice", value, epoch)
    means = logger.get_value("ema_fg_dice", step=None)
    best, at, expected = -math.inf, 0, None
    for epoch, mean in enumerate(means):
        if mean > best + gain:
            best, at = mean, epoch
        if epoch - at == patience:
            expected = (at, epoch + 1)
            break
    still = standstill(values, patience=patience, gain=gain)
    assert (still and (still.best, still.epochs)) == expected


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=40), st.integers(1, 10))
def test_what_is_known_once_stays_known(values: list[float], patience: int) -> None:
    still = standstill(values, patience=patience)
    for length in range(len(values)):
        expected = still if still and still.epochs <= length else None
        assert str(standstill(values[:length], patience=patience)) == str(expected)


def test_values_that_are_no_numbers_are_left_out() -> None:
    numbers = [0.1, 0.3, 0.5, 0.5, 0.4, 0.9]
    still = standstill([*numbers[:2], math.nan, *numbers[2:]], patience=99)
    assert still is None
    assert standstill([math.nan] * 4, patience=3) is not None
    assert standstill([math.nan, math.nan, 0.2, 0.3, 0.4], patience=2) is None


@pytest.mark.parametrize(("token", "words"), [("", "Dice has not risen above"), ("loss_", "loss has not fallen")])
def test_it_ends_like_a_whole_training_that_was_as_good_until_then(bench: Bench, token: str, words: str) -> None:
    with room(bench, f"StopEarly_patience2_{token}{NEVER_BETTER}_9epochs") as run:
        trainer = trained(run)
        folder = Path(trainer.output_folder)
        final = checkpoint.read(folder / "checkpoint_final.pth")
        assert final["current_epoch"] == trainer.current_epoch == 3
        assert not (folder / "checkpoint_latest.pth").exists()
        log = log_of(trainer)
        assert words in log
        assert "since epoch 0, 2 epochs ago: the training ends after 3 of 9 epochs" in log
        again = trained(run, resumed=True)  # nothing is left to train
        assert again.current_epoch == 3
        assert equal(again.network.state_dict(), trainer.network.state_dict())
        assert log_of(again).count("train_loss") == 3
    with room(bench, "_9epochs") as run:
        with pytest.raises(Killed):
            trained(run, killed_at=3)
        whole = checkpoint.read(run.model_folder() / "fold_0" / "checkpoint_latest.pth")
    for key in ("network_weights", "optimizer_state", "current_epoch"):
        assert equal(whole[key], final[key])


def test_a_patience_longer_than_the_training_changes_nothing(bench: Bench) -> None:
    states = []
    for name in ("_3epochs", f"StopEarly_patience2_{NEVER_BETTER}_3epochs", "StopEarly_anneal2_3epochs"):
        with room(bench, name) as run:
            trainer = trained(run)
            logged = {key: trainer.logger.get_value(key, step=None) for key in ("lrs", "train_losses", "mean_fg_dice")}
            states.append((trainer.network.state_dict(), trainer.optimizer.state_dict(), logged))
            assert ("StopEarly never ends this training" in log_of(trainer)) == (name != "_3epochs")
    assert equal(states[1], states[0])
    assert equal(states[2], states[0])


def test_a_patience_longer_than_the_training_is_said_before_there_is_a_folder(bench: Bench, capsys) -> None:
    with room(bench, "StopEarly_100epochs_run2") as run:
        planned = Planned.of(run.data.plans, "2d", run.data.dataset_json)
    for epochs, said in ((100, False), (51, True)):
        cls = trainers.find(f"nnUNetTrainerStopEarly_{epochs}epochs")
        assert cls is not None
        cls.check_planned(planned)
        assert ("its patience is 50 epochs, and the training has 51" in capsys.readouterr().out) == said


@pytest.mark.parametrize("killed_at", [2, 3])
def test_a_shortened_schedule_goes_on_after_an_interruption(bench: Bench, killed_at: int) -> None:
    name = f"StopEarly_patience1_{NEVER_BETTER}_anneal3_9epochs"
    with room(bench, name) as run:
        whole = trained(run)
        assert "the learning rate falls to 0 and the training ends after 5 of 9 epochs" in log_of(whole)
    with room(bench, name) as run:
        with pytest.raises(Killed):
            trained(run, killed_at=killed_at)
        continued = trained(run, resumed=True)
    rates = [0.01 * (1 - epoch / 9) ** 0.9 for epoch in range(3)]
    rates += [rates[2] * (1 - share) ** 0.9 for share in (1 / 3, 2 / 3)]
    assert lrs(whole) == pytest.approx(rates)
    assert lrs(continued) == lrs(whole)
    assert whole.current_epoch == continued.current_epoch == 5


def test_the_rest_of_nnunets_schedule_is_only_compressed(bench: Bench) -> None:
    """The same rates at the same share of the rest."""
    with room(bench, f"StopEarly_patience1_{NEVER_BETTER}_anneal10") as run:
        trainer = run.build(untouched=True)
    for epoch in range(2):
        trainer.logger.log("mean_fg_dice", 0.5, epoch)
    shortened = []
    for epoch in range(2, 12):
        trainer.lr_scheduler.step(epoch)
        shortened.append(trainer.optimizer.param_groups[0]["lr"])
    assert shortened == pytest.approx([0.01 * (1 - (2 + 998 * step / 10) / 1000) ** 0.9 for step in range(10)])


@pytest.mark.filterwarnings("ignore:.*scheduler")
@pytest.mark.parametrize("schedule", ["CosAnneal", "ConstantLR", "PlateauLR", "StepLR_every1", "Warmup_length1"])
def test_any_schedule_can_be_shortened(bench: Bench, schedule: str) -> None:
    with room(bench, f"{schedule}_StopEarly_patience1_{NEVER_BETTER}_anneal4_20epochs") as run:
        trainer = run.build(untouched=True)
    for epoch in range(2):
        trainer.logger.log("mean_fg_dice", 0.5, epoch)
        trainer.logger.log("val_losses", 0.5, epoch)
    rates = []
    for epoch in range(2, 6):
        trainer.lr_scheduler.step(epoch)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([rates[0] * (1 - step / 4) ** 0.9 for step in range(4)])
    assert rates[0] > 0


def test_a_pseudo_dice_that_was_never_measured_stops_nothing(bench: Bench) -> None:
    with room(bench, "StopEarly_patience1") as run:
        trainer = run.build(untouched=True)
    for epoch in range(5):
        trainer.logger.log("mean_fg_dice", math.nan, epoch)
    assert trainer._standstill(5) is None
