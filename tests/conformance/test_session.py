from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.grid import pairwise
from nnunet_tricks.conformance.outcome import Outcome, Report, Status
from nnunet_tricks.conformance.resolve import find_trainer
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.conformance.table import show_tables

EXTERNAL = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerCELoss import nnUNetTrainerCELoss


class nnUNetTrainerOfAUser(nnUNetTrainerCELoss):
    pass
"""


def test_a_users_trainer_is_checked_and_a_failure_sets_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trainers").mkdir()
    (tmp_path / "trainers" / "mine.py").write_text(EXTERNAL)
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "trainers"))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results_of_the_user"))
    kept = tmp_path / "kept"
    assert main(["conformance", "nnUNetTrainerOfAUser", "--json", "--keep", str(kept)]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] is False
    reports = {(report.get("dimension"), report.get("labels")): report for report in printed["reports"]}
    assert [step["reason"] for step in reports["2d", "labels"]["steps"] if step["status"] == "fail"] == []
    assert [step["step"] for step in reports["2d", "labels"]["steps"]] == list(STEPS)
    refused = [step["reason"] for step in reports["3d", "regions"]["steps"] if step["status"] == "fail"]
    assert len(refused) == 1
    assert refused[0].startswith("AssertionError: regions not supported by this trainer")
    logs = [log.read_text() for log in kept.glob("runs/*/output.txt")]
    assert any("Traceback" in log and "regions not supported" in log for log in logs)
    assert not (tmp_path / "results_of_the_user").exists()
    assert os.environ["nnUNet_results"] == str(tmp_path / "results_of_the_user")  # noqa: SIM112


def test_without_a_terminal_there_is_a_line_per_situation(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["conformance", "Dice"])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0, lines
    assert [line.partition(": ok")[0] for line in lines[: len(pairwise()) + 3]] == [
        f"nnUNetTrainerDice, {situation}"
        for situation in ("contract", *map(str, pairwise()), "two processes", "as nnUNetTrainer")
    ]
    assert lines[-1] == "Everything holds."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a trainer, or say --all"),
        (["nnUNetTrainerTverski"], "nnUNetTrainerTversky"),
        (["SomebodysTrainer"], "no trainer is called 'SomebodysTrainer'"),
        (["nnUNetTrainer", "--keep", __file__], "there is something already"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


def test_names_are_found_as_nnunet_finds_them() -> None:
    assert find_trainer("nnUNetTrainerDiceLoss").__module__.startswith("nnunetv2.")
    assert find_trainer("nnUNetTrainerTversky_alpha0p1").__name__ == "nnUNetTrainerTversky_alpha0p1"


@pytest.mark.parametrize(("width", "is_table"), [(140, True), (80, False)])
def test_a_table_is_drawn_where_it_fits(width: int, is_table: bool) -> None:
    outcomes = [Outcome(step, Status.FAIL if step == "--c" else Status.PASS, "why") for step in STEPS]
    reports = [Report("nnUNetTrainerX", cell, tuple(outcomes)) for cell in pairwise()]
    console = Console(file=io.StringIO(), width=width)
    show_tables(console, [*reports, Report("nnUNetTrainerX", "contract")])
    lines = console.file.getvalue().splitlines()
    assert any(line.startswith("cell ") for line in lines) is is_table
    assert sum("FAIL" in line for line in lines) == len(reports)
    assert all(len(line) <= width for line in lines) or not is_table
    assert "nnUNetTrainerX, contract: ok" in lines[-1]
