from __future__ import annotations

import io
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation, pairwise
from nnunet_tricks.conformance.outcome import ConformanceReport, Status, StepOutcome
from nnunet_tricks.conformance.session import to_json
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.conformance.table import show_tables
from nnunet_tricks.door import external
from nnunet_tricks.door.lookup import find_trainer

EXTERNAL = """
import torch
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerCELoss import nnUNetTrainerCELoss


class nnUNetTrainerOfAUser(nnUNetTrainerCELoss):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.enable_deep_supervision = False
"""


@pytest.mark.skipif(not external.is_read(), reason="nnU-Net reads nnUNet_extTrainer since 2.8")
def test_a_users_trainer_is_checked_and_a_failure_sets_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trainers").mkdir()
    (tmp_path / "trainers" / "mine.py").write_text(EXTERNAL)
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "trainers"))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results_of_the_user"))
    kept = tmp_path / "kept"

    assert main(["conformance", "nnUNetTrainerOfAUser", "CE_NoDeepSupervision_9epochs", "--keep", str(kept)]) == 1

    printed, overview, reasons = capsys.readouterr().out.strip().split("\n\n")
    head, user, ours = (row.split() for row in overview.replace("two processes", "ranks").splitlines())
    assert head == ["contract", "labels", "labels+ignore", "regions", "regions+ignore", "ranks", "as", "nnUNetTrainer"]
    unsupervised = Counter(situation.labels for situation in pairwise() if not situation.deep_supervision)
    assert user[1:] == ["ok", *(f"{n if mode == 'labels' else 0}/{n}" for mode, n in unsupervised.items()), "FAIL", "-"]
    assert ours[1:] == ["ok", *(f"{n}/{n}" for n in unsupervised.values()), "ok", "ok"]
    lines = [line.rpartition(" (")[0] for line in printed.splitlines()]
    unasked = "n/a, the trainer itself switches deep supervision off"
    assert lines[len(pairwise()) + 2 :] == [
        f"nnUNetTrainerCE_NoDeepSupervision_9epochs, {situation}: {unasked if str(situation).endswith(' ds') else 'ok'}"
        for situation in ("contract", *pairwise(), "two processes", "as nnUNetTrainer")
    ]
    mine = dict(line.removeprefix("nnUNetTrainerOfAUser, ").split(": ") for line in lines[: len(pairwise()) + 2])
    assert mine["contract"] == mine["3d labels no-ds"] == "ok"
    assert mine["2d labels+ignore no-ds"] == "FAIL in ignored"
    assert mine["2d regions no-ds"] == "FAIL in build"
    assert mine["cascade regions+ignore no-ds"] == "FAIL in first stage"
    assert mine["two processes"].startswith("FAIL in regions, sample Dice")
    assert "nnUNetTrainerOfAUser, 2d labels+ignore no-ds: ignored: the training loss is nan" in reasons
    assert "2d regions no-ds: build: AssertionError: regions not supported by this trainer" in reasons
    assert "Traceback" not in reasons
    assert reasons.endswith(f"are in {kept}.")
    logs = [log.read_text() for log in kept.glob("runs/*/output.txt")]
    assert any("Traceback" in log and "regions not supported" in log for log in logs)
    assert not (tmp_path / "results_of_the_user").exists()
    assert os.environ["nnUNet_results"] == str(tmp_path / "results_of_the_user")  # noqa: SIM112


BUILDS_ON_OURS = """
import torch
from nnunet_tricks.door.trainers import nnUNetTrainerTversky


class nnUNetTrainerMineGood(nnUNetTrainerTversky):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = 4
"""


@pytest.mark.skipif(not external.is_read(), reason="nnU-Net reads nnUNet_extTrainer since 2.8")
def test_a_users_trainer_may_build_on_ours(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(BUILDS_ON_OURS)
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    monkeypatch.setattr("nnunet_tricks.conformance.session.pairwise", lambda: (Situation("labels", "2d", True),))
    assert main(["conformance", "nnUNetTrainerMineGood"]) == 0
    assert capsys.readouterr().out.endswith("Everything holds.\n")
    assert main(["show", "nnUNetTrainerMineGood"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("nnUNetTrainerMineGood is yours and builds on this one")
    assert "Tversky: overlap with separate weights for missed voxels and false alarms" in shown
    assert main(["show", "nnUNetTrainerMinGood"]) == 2
    with bench.room(find_trainer("nnUNetTrainerMineGood"), Situation("labels", "2d", True)) as run:
        run.build(untouched=True).on_train_start()
        log = next(run.folder.rglob("training_log_*.txt")).read_text()
    assert "Tversky (alpha 0.3, beta 0.7, cb 0.0, mediseg False); 4 epochs; run 1" in log


def test_scripts_get_everything(bench: Bench) -> None:
    situation = Situation("regions", "2d", False)
    reports = [
        bench.check(find_trainer("nnUNetTrainerCELoss"), situation),
        ConformanceReport("nnUNetTrainerCELoss", "contract"),
    ]
    told = json.loads(to_json(reports))
    assert told["ok"] is False
    assert [report["ok"] for report in told["reports"]] == [False, True]
    assert {"labels": "regions", "dimension": "2d", "deep_supervision": False}.items() <= told["reports"][0].items()
    assert told["reports"][1]["check"] == "contract"
    steps = told["reports"][0]["steps"]
    assert [step["step"] for step in steps] == list(STEPS)
    assert {step["status"] for step in steps} == {"fail", "n/a"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a trainer, or give --all"),
        (["nnUNetTrainerTverski"], "nnUNetTrainerTversky"),
        (["SomebodysTrainer"], "no trainer is called 'SomebodysTrainer'"),
        (["nnUNetTrainer", "--keep", __file__], "must be a new or an empty folder"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1


def test_names_are_found_as_nnunet_finds_them() -> None:
    assert find_trainer("nnUNetTrainerDiceLoss").__module__.startswith("nnunetv2.")
    assert find_trainer("nnUNetTrainerTversky_alpha0p1").__name__ == "nnUNetTrainerTversky_alpha0p1"


@pytest.mark.parametrize(("width", "is_table"), [(140, True), (80, False)])
def test_a_table_is_drawn_where_it_fits(width: int, is_table: bool) -> None:
    outcomes = [StepOutcome(step, Status.FAIL if step == "--c" else Status.PASS, "why") for step in STEPS]
    reports = [ConformanceReport("nnUNetTrainerX", situation, tuple(outcomes)) for situation in pairwise()]
    console = Console(file=io.StringIO(), width=width)
    show_tables(console, [*reports, ConformanceReport("nnUNetTrainerX", "contract")])
    lines = console.file.getvalue().splitlines()
    assert any(line.startswith("situation ") for line in lines) is is_table
    assert sum("FAIL" in line for line in lines) == len(reports)
    assert all(len(line) <= width for line in lines) or not is_table
    assert "nnUNetTrainerX, contract: ok" in lines[-1]
