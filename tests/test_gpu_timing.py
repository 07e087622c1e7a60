"""The measurements for a GPU: how calls are compared, how time is kept, and how processes are waited for."""

import time
from collections.abc import Callable

import pytest
import torch
from torch.multiprocessing import start_processes

from benchmarks.gpu import losses, networks, two_processes
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.deadline import wait_for
from benchmarks.gpu.rank import compared_losses, knows_of_others
from benchmarks.gpu.settings import Settings
from benchmarks.gpu.timing import compared


def settings_for(seconds: float = 60) -> Settings:
    """A quick run on the CPU with so much time."""
    return Settings(torch.device("cpu"), True, Budget(seconds), None)


def work() -> None:
    """Take some processor time."""
    sum(range(10_000))


def failing_at(call: int, error: Exception) -> Callable[[], None]:
    """A call that works until it fails."""
    calls = iter(range(call))

    def run() -> None:
        work()
        if next(calls, None) is None:
            raise error

    return run


def test_what_there_is_no_time_for_is_named() -> None:
    now = [100.0]
    budget = Budget(20, lambda: now[0])
    budget.until(0.5)
    assert not budget.over("first")
    assert budget.left == 10
    now[0] = 111.0
    assert budget.over("second")
    assert budget.left == 0
    assert budget.left_out == ["second"]


def test_a_run_that_fails_costs_no_other() -> None:
    runs = {
        "plain": work,
        "at once": failing_at(0, ValueError("half precision")),
        "later": failing_at(2, torch.cuda.OutOfMemoryError("all is full")),
        "other": work,
    }
    rows = compared(runs, "plain", settings_for(), 4, "runs")
    assert rows["at once"] == {"error": "ValueError: half precision"}
    assert rows["later"] == {"error": "OutOfMemoryError: all is full"}
    assert rows["plain"]["ratio"] == 1
    assert rows["other"]["rounds"] == 4
    assert rows["other"]["ratio"] > 0


def test_all_runs_may_fail() -> None:
    error = torch.cuda.OutOfMemoryError("all is full")
    rows = compared({"plain": failing_at(0, error), "other": failing_at(1, error)}, "plain", settings_for(), 3, "runs")
    assert rows == {name: {"error": "OutOfMemoryError: all is full"} for name in ("plain", "other")}


def test_without_the_baseline_there_are_no_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    rows = compared({"plain": failing_at(2, ValueError("no")), "other": work}, "plain", settings_for(), 3, "runs")
    assert rows["other"]["milliseconds"] > 0
    assert "ratio" not in rows["other"]
    assert "x      ?" in capsys.readouterr().out
    assert "ratio" not in compared({"other": work}, "plain", settings_for(), 1, "runs")["other"]


def test_rounds_end_with_the_time() -> None:
    now = [0.0]

    def run() -> None:
        now[0] += 1

    settings = Settings(torch.device("cpu"), True, Budget(5, lambda: now[0]), None)
    rows = compared({"plain": run}, "plain", settings, 1000, "runs")
    # One call warms up.
    assert rows["plain"]["rounds"] == 4
    assert settings.budget.left_out == ["996 of 1000 rounds of runs"]


def test_without_time_nothing_is_called() -> None:
    settings = settings_for(0)
    assert compared({"plain": failing_at(0, ValueError("called"))}, "plain", settings, 2, "runs") == {}
    assert settings.budget.left_out[0] == "plain of runs"


def test_a_network_that_cannot_be_built_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    built = networks.network_of

    def network_of(trainer: str, dimension: str, settings: Settings) -> object:
        if trainer == "nnUNetTrainerIFERandom":
            raise RuntimeError("wrong device")
        return built(trainer, dimension, settings)

    monkeypatch.setattr(networks, "network_of", network_of)
    rows = {dimension: result() for dimension, result in networks.enhanced(settings_for())}
    for row in rows.values():
        assert row["IFERandom"] == {"error": "RuntimeError: wrong device"}
        assert row["IFECurvature"]["ratio"] > 0
    assert set(rows) == {"2d", "3d"}


def test_a_loss_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise TypeError("wrong device")

    def right(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return logits.square().mean()

    built = losses.BuiltLosses({losses.NNUNET: right, "Wrong": wrong}, {}, {"Unbuilt": {"error": "ValueError: no"}})
    monkeypatch.setattr(losses, "built_losses", lambda settings: built)
    rows = {dimension: result()["losses"] for dimension, result in losses.losses(settings_for())}
    for row in rows.values():
        assert row[losses.NNUNET]["ratio"] == 1
        assert row["Wrong"] == {"error": "TypeError: wrong device"}
        assert row["Unbuilt"] == {"error": "ValueError: no"}
    assert set(rows) == {"2d", "3d"}


def sleep_or_fail(rank: int, failing: bool) -> None:
    """One of two processes: it hangs, or fails if it is the second and is told to."""
    if failing and rank == 1:
        raise ValueError("half precision")
    time.sleep(600)


def test_processes_that_hang_are_ended() -> None:
    processes = start_processes(sleep_or_fail, args=(False,), nprocs=2, join=False, start_method="fork")
    with pytest.raises(TimeoutError, match="the processes had not ended after 0 s"):
        wait_for(processes, 0.2)
    assert not any(process.is_alive() for process in processes.processes)


def test_a_process_that_fails_ends_the_other() -> None:
    processes = start_processes(sleep_or_fail, args=(True,), nprocs=2, join=False, start_method="fork")
    with pytest.raises(Exception, match="half precision"):
        wait_for(processes, 60)
    assert not any(process.is_alive() for process in processes.processes)


def nnunet_loss(*, ddp: bool) -> torch.nn.Module:
    """nnU-Net's own loss with batch Dice."""
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": ddp}
    return DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)


def test_a_loss_says_whether_it_knows_of_other_processes() -> None:
    from nnunet_tricks.training.criterion import Criterion

    for ddp in (False, True):
        assert knows_of_others(nnunet_loss(ddp=ddp)) is ddp
        assert knows_of_others(Criterion(lambda prediction: prediction.cross_entropy, ddp=ddp)) is ddp


def test_a_loss_that_forgets_the_other_process_is_noticed() -> None:
    forgetful = nnunet_loss(ddp=False)
    answers = [
        {**compared_losses(rank, forgetful, forgetful, settings_for()), "weights": "", "milliseconds": 1.0}
        for rank in range(2)
    ]
    row = two_processes.judged([{**answer, "loss_in_ddp": False} for answer in answers])
    assert row["same_weights"]
    assert not row["same_loss"]
    assert not row["loss_in_ddp"]
    agreeing = [{**answer, "loss": answer["loss_of_joined_batch"], "loss_in_ddp": True} for answer in answers]
    assert two_processes.judged(agreeing)["same_loss"]
    assert two_processes.judged(agreeing)["loss_in_ddp"]
