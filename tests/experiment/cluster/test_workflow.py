"""The shipped workflow, by Snakemake itself and with the real executors, without a scheduler."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.cluster.environment import VARIABLE
from nnunet_tricks.experiment.cluster.head import HeadProcess, start_snakemake
from nnunet_tricks.experiment.cluster.profile import SCHEDULERS, read_profile
from nnunet_tricks.experiment.cluster.rounds import WORKFLOW
from nnunet_tricks.experiment.spec import read_experiment

SPEC = """datasets: [901]
configurations: [3d_fullres]
tricks: [Tversky]
epochs: 5
folds: [0, 1]
on: [validation, test]
"""


@pytest.fixture(autouse=True)
def _installed(snakemake, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, str(snakemake))


def head(spec: Path, folders, profile: str, **how) -> HeadProcess:
    cells = make(read_experiment(spec), folders)
    return HeadProcess(spec, cells, read_profile(profile), "cuda", folders, {}, devices=["0"], **how)


def dry_run(made: HeadProcess, folder: Path, *words: str) -> str:
    """What Snakemake says about a dry run."""
    made._prepared(folder, [cell for cell in made.cells if not cell.is_done()], ()).write()
    with (folder / "output.txt").open("w") as output:
        process = start_snakemake(made.environment, folder, {"PATH": "/usr/bin:/bin"}, "-n", *words, output=output)
        assert process.wait() == 0, (folder / "output.txt").read_text()
    return (folder / "output.txt").read_text()


def test_the_workflow_is_clean(snakemake, spec, folders, tmp_path) -> None:
    made = head(spec(SPEC), folders, "slurm")
    dry_run(made, tmp_path)
    words = [snakemake / "bin" / "snakemake", "--snakefile", WORKFLOW, "--directory", tmp_path, "--lint", "text"]
    done = subprocess.run([*words, "--config", f"folder={tmp_path}"], capture_output=True, text=True, check=False)
    complaints = set(re.findall(r"^ +\* (.*):$", done.stdout + done.stderr, re.MULTILINE))
    # Rules call our own commands by their path: there is no environment for Snakemake to make.
    assert complaints == {"Specify a conda environment or container for each rule."}


@pytest.mark.parametrize("profile", SCHEDULERS)
def test_a_dry_run_with_the_real_executor(profile, spec, folders, tmp_path, capfd) -> None:
    words = ["run", str(spec(SPEC)), "--runner", "snakemake", "--profile", profile, "--dry-run"]
    words += ["--gpus", "0"] if profile == "local" else []
    assert main(words) == 0
    out, err = capfd.readouterr()
    assert "0 of 14 cells done" in out
    # Plan, preprocess and four evaluations; four trainings and predictions, and the timing of their steps.
    assert re.search(r"^preparation +6$", err, re.MULTILINE)
    assert re.search(r"^training +9$", err, re.MULTILINE)
    assert not list(folders.results.iterdir())


def test_preprocessing_comes_first_and_baseline_and_first_trick_before_the_rest(spec, folders, tmp_path) -> None:
    made = head(spec(SPEC), folders, "slurm")
    dry_run(made, tmp_path)
    entries = json.loads((tmp_path / "plan.json").read_text())["cells"]
    trainings = {name: entry for name, entry in entries.items() if name.endswith("_train")}
    assert len(trainings) == 4
    for entry in trainings.values():
        assert [needed.rpartition("_")[0] for needed in entry["after"]][-1].endswith("preprocess_3d")
        assert entries[entry["measure"]]["after"] == entry["after"]
    assert [entries[name]["place"] for name in trainings] == sorted(entries[name]["place"] for name in trainings)


def test_a_training_asks_for_one_gpu_and_for_what_was_measured(spec, preprocessed, tmp_path) -> None:
    timings = {
        "Dataset901_Toy/nnUNetPlans__3d_fullres": {
            "step": 0.4,
            "validation_step": 0.0,
            "forward": 0.0,
            "steps_per_epoch": 250,
            "validation_steps_per_epoch": 50,
            "mirrored_axes": 3,
            "checkpoint_bytes": 1,
            "memory": 4_000_000_000,
        }
    }
    made = head(spec(SPEC.replace("[validation, test]", "validation")), preprocessed, "slurm", timings=timings)
    text = dry_run(made, tmp_path)
    # 1.5 times 5 epochs of 250 steps and nnU-Net's start, and 10 minutes; 1.5 times the memory, and 2 GB.
    assert text.count("runtime=24,") + text.count("runtime=23,") == 4
    assert text.count("mem_mb=8000,") == 4
    assert text.count("gpu=1") == 4
    assert "timing_" not in text


def test_what_nobody_knows_takes_the_profiles_numbers(spec, folders, tmp_path) -> None:
    text = dry_run(head(spec(SPEC), folders, "slurm", timing=False), tmp_path)
    assert text.count("runtime=1440,") == 8
    assert text.count("runtime=240,") == 2  # plans and preprocessing; evaluations are short


def test_options_that_snakemake_does_not_know_are_named(spec, folders, tmp_path, capfd) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("scheduler: slurm\nsnakemake: {slurm-quality: high}\n")
    assert main(["run", str(spec(SPEC)), "--runner", "snakemake", "--profile", str(profile), "--dry-run"]) != 0
    assert "slurm-quality" in capfd.readouterr().err


@pytest.mark.parametrize(("profile", "missing"), [("slurm", "sbatch"), ("lsf", "bsub")])
def test_no_scheduler(profile, missing, spec, preprocessed, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["run", str(spec(SPEC)), "--runner", "snakemake", "--profile", profile]) == 2
    assert f"there is no '{missing}' here: log in to a machine" in capsys.readouterr().err


def test_profiles_are_for_snakemake_only(spec, preprocessed, capsys) -> None:
    assert main(["run", str(spec(SPEC)), "--profile", "slurm"]) == 2
    assert "--profile needs --runner snakemake" in capsys.readouterr().err
    words = ["--runner", "snakemake", "--profile", "slurm", "--gpus", "0,1"]
    assert main(["run", str(spec(SPEC)), *words]) == 2
    assert "each training gets one GPU" in capsys.readouterr().err
