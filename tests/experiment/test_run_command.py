import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.commands.run import _gpus
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.door import link
from nnunet_tricks.door.external import is_read
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.split import Split, kept
from tests.experiment.conftest import DATASET
from tests.terminals import at_terminal

SPEC = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky, CE]\nepochs: 5\nfolds: [0, 1]\n"

SHORT = '''
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

class nnUNetTrainerShort(nnUNetTrainer):
    """A single step."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1
'''


def outcome_of(capsys, *words: object) -> tuple[int, str, str]:
    code = main(["run", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_dry_run_shows_all_and_writes_nothing(spec, folders, capsys) -> None:
    file = spec(SPEC)
    code, out, _ = outcome_of(capsys, file, "--dry-run", "--no-timing", "--device", "cpu")
    assert code == 0
    assert f"{DATASET}/nnUNetTrainerCE_5epochs__nnUNetPlans__3d_fullres/fold_1/train" in out
    assert "0 of 8 cells done" in out
    assert "only preprocessed data can be timed" in out
    assert not list(folders.results.iterdir())
    assert not list(folders.preprocessed.iterdir())


def test_a_dry_run_says_that_nothing_can_be_decided_and_what_to_write(spec, preprocessed, capsys) -> None:
    _, _, err = outcome_of(capsys, spec(SPEC), "--dry-run", "--no-timing", "--device", "cpu")
    assert "every verdict of 'compare' will be 'undecided'; write 'baseline_runs: 3'" in err
    _, _, err = outcome_of(capsys, spec(SPEC + "baseline_runs: 3\n"), "--dry-run", "--no-timing", "--device", "cpu")
    assert "undecided" not in err


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_dry_run_fits_the_terminal_and_keys_stay_whole_in_a_pipe(spec, preprocessed, columns, capsys) -> None:
    words = ["run", spec(SPEC.replace("CE]", "CE_NoDeepSupervision]")), "--dry-run", "--no-timing", "--device", "cpu"]
    shown = at_terminal(columns, *words)
    assert shown.code == 0
    assert max(map(len, shown.lines)) <= columns
    key = f"{DATASET}/nnUNetTrainerCE_NoDeepSupervision_5epochs__nnUNetPlans__3d_fullres/fold_1/train"
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr()
    assert f"open      ?           ?  {key}\n" in printed.out
    if columns == 200:
        assert printed.out in shown.plain
    else:
        assert key.partition("/")[2] in "".join(shown.words)
    assert "".join(printed.err.split()) in "".join(shown.words)


def test_a_dry_run_for_programs(spec, preprocessed, capsys) -> None:
    code, out, _ = outcome_of(capsys, spec(SPEC), "--dry-run", "--no-timing", "--json", "--device", "cpu")
    cells = json.loads(out)
    assert code == 0
    assert [cell["state"] for cell in cells] == ["done"] * 2 + ["open"] * 6
    assert cells[2]["command"][:2] == ["nnUNetv2_train", DATASET]


def test_a_budget_without_measurements_leaves_nothing_out(spec, preprocessed, capsys) -> None:
    _, out, _ = outcome_of(capsys, spec(SPEC), "--dry-run", "--no-timing", "--budget", "48h", "--device", "cpu")
    assert "In 48 h 0 min: 6 of 6 trainings" in out


def test_lines_for_a_cluster(spec, preprocessed, capsys) -> None:
    _, out, _ = outcome_of(capsys, spec(SPEC), "--runner", "print", "--format", "sbatch")
    assert len(out.splitlines()) == 6
    assert all("--gres=gpu:1" in line and "nnUNetv2_train" in line for line in out.splitlines())


def test_our_planners_need_the_link(spec, preprocessed, capsys, monkeypatch) -> None:
    monkeypatch.setattr(link, "state", list)
    file = spec(SPEC + "plans: [nnUNetPlansNoResampling]\n")
    code, out, err = outcome_of(capsys, file, "--device", "cpu")
    assert (code, out) == (2, "")
    assert "nnUNetPlansNoResampling: nnU-Net finds our planners only after 'nnunet-tricks link'" in err
    assert not list(preprocessed.results.iterdir())


def test_missing_tricks_are_named_and_the_rest_can_run(spec, preprocessed, capsys) -> None:
    file = spec(SPEC.replace("CE]", "Telepathy]\nneeds: [Telepathy]"))
    code, _, err = outcome_of(capsys, file, "--dry-run", "--no-timing", "--device", "cpu")
    assert code == 2
    assert "missing: Telepathy needs Telepathy" in err
    assert "--skip-missing" in err
    code, out, err = outcome_of(capsys, file, "--dry-run", "--no-timing", "--device", "cpu", "--skip-missing")
    assert code == 0
    assert "missing: Telepathy" in err
    assert "2 of 6 cells done" in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--gpus", "0,0"], "--gpus must be different numbers such as 0,1, got '0,0'"),
        (["--gpus", "a"], "--gpus must be different numbers"),
        (["--gpus", "0", "--device", "cpu"], "contradict"),
        (["--budget", "soon"], "48h, 90min or 2d"),
        (["--retries", "-1"], "must not be negative"),
    ],
)
def test_wrong_arguments(spec, preprocessed, capsys, words, complaint) -> None:
    code, _, err = outcome_of(capsys, spec(SPEC), "--dry-run", *words)
    assert code == 2
    assert complaint in err


def test_gpus_that_are_not_ours_are_left_alone(tmp_path, monkeypatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\nfor n in 0 1 2; do echo "GPU $n: H200 (UUID: GPU-$n)"; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _gpus() == ["0", "1", "2"]
    for visible, expected in (("2", ["2"]), ("0, 1", ["0", "1"]), ("", []), ("-1", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert _gpus() == expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    with pytest.raises(ValueError, match="name the GPUs by their numbers"):
        _gpus()


def test_no_folders(spec, capsys, monkeypatch) -> None:
    monkeypatch.delenv("nnUNet_raw", raising=False)
    code, _, err = outcome_of(capsys, spec(SPEC), "--dry-run", "--device", "cpu")
    assert code == 2
    assert "export nnUNet_raw=" in err


def test_no_file(tmp_path, capsys) -> None:
    code, _, err = outcome_of(capsys, tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml" in err
    assert err.count("\n") == 1


def test_looking_at_an_experiment_imports_neither_torch_nor_nnunet(spec, preprocessed) -> None:
    code = f"""
import sys
from nnunet_tricks.cli import main
code = main(["run", {str(spec(SPEC))!r}, "--dry-run", "--no-timing", "--device", "cpu"])
heavy = {{"torch", "nnunetv2", "numpy"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not is_read(), reason="nnU-Net reads nnUNet_extTrainer since 2.8")
def test_nnunets_own_commands_train_predict_and_evaluate(bench: Bench, tmp_path: Path) -> None:
    """A user's own trainer, on data that are preprocessed already, judged on test cases of its fold."""
    data = bench.data("labels", flat=True)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "short.py").write_text(SHORT)
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"datasets: [{data.name}]\nconfigurations: [2d]\ntrainers: [nnUNetTrainerShort]\nfolds: [0]\non: test\n"
    )
    (data.raw / "splits_test.json").write_text(json.dumps({"0": ["case_0"]}))
    variables = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    variables |= {f"nnUNet_{name}": str(bench.folder / name) for name in ("raw", "preprocessed")}
    variables |= {"nnUNet_results": str(tmp_path / "results"), "nnUNet_extTrainer": str(tmp_path / "own")}
    variables |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "nnUNet_compile": "f"}
    words = [sys.executable, "-m", "nnunet_tricks.cli", "run", str(spec), "--device", "cpu", "--json"]
    dry = subprocess.run([*words, "--dry-run"], env=variables, capture_output=True, text=True, check=False)
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    (data.raw / "splits_test.json").unlink()
    assert dry.returncode == 0, dry.stderr
    expected = {cell["cell"].rpartition("/")[2]: cell for cell in json.loads(dry.stdout)}
    assert all(cell["seconds"] > 0 for cell in expected.values() if cell["state"] == "open"), dry.stderr
    assert expected["train"]["bytes"] > 2**10
    assert done.returncode == 0, done.stderr
    cells = {cell["cell"].rpartition("/")[2]: cell for cell in json.loads(done.stdout)}
    assert {cell["state"] for cell in cells.values()} == {"done"}
    assert cells["train"]["memory"] > 2**28
    assert cells["train"]["seconds"] > 1
    fold = tmp_path / "results" / data.name / "nnUNetTrainerShort__nnUNetPlans__2d" / "fold_0"
    summary = json.loads((fold / "test" / "summary.json").read_text())
    assert [Path(case["reference_file"]).name for case in summary["metric_per_case"]] == ["case_0.png"]
    states = tmp_path / "results" / "nnunet_tricks" / data.name / "nnUNetTrainerShort__nnUNetPlans__2d" / "fold_0"
    assert [len(Record.read(states / name).attempts) for name in ("train", "predict_test", "evaluate_test")] == [1] * 3
    record = Record.read(states / "train")
    (log,) = fold.glob("training_log_*.txt")
    assert record.logs == {log.name: record.attempts[0].began}
    assert record.attempts[0].versions["batchgeneratorsv2"] == version("batchgeneratorsv2")
    assert Split.of(json.loads((data.preprocessed / "splits_final.json").read_text()), "0") == kept(
        states.parents[1] / "splits", record.split
    )
