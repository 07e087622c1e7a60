import json
import subprocess

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.cluster.environment import OLDEST, VARIABLE, Environment
from tests.checkout import ROOT


def test_snakemake_is_there_in_the_pinned_version_and_nothing_is_done_twice(snakemake, monkeypatch, capsys) -> None:
    monkeypatch.setenv(VARIABLE, str(snakemake))
    environment = Environment.usual()
    shown = subprocess.run([environment.snakemake, "--version"], capture_output=True, text=True, check=True)
    assert f"snakemake=={shown.stdout.strip()}" in json.loads((snakemake / "nnunet_tricks.json").read_text())["pins"]
    assert main(["cluster", "setup", "slurm"]) == 0
    assert "already" in capsys.readouterr().out


def test_nothing_of_ours_is_in_it(snakemake) -> None:
    """It calls our commands by their path; nnU-Net's packages and its own do not meet."""
    code = "import importlib.util as u; print([m for m in ('nnunet_tricks', 'nnunetv2', 'torch') if u.find_spec(m)])"
    variables = Environment(snakemake).variables({"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"})
    shown = subprocess.run(
        [snakemake / "bin" / "python", "-c", code], env=variables, cwd="/", capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_no_snakemake(monkeypatch, tmp_path, spec, preprocessed, capsys) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    file = spec("datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky]\nfolds: [0]\n")
    words = ["run", str(file), "--runner", "snakemake", "--profile", "lsf"]
    assert main(words) == 2
    assert "'nnunet-tricks cluster setup lsf' installs it" in capsys.readouterr().err


def test_an_environment_that_was_cut_off_counts_for_nothing(tmp_path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "snakemake").touch()
    assert Environment(tmp_path).schedulers == ()


def test_a_python_that_is_too_old(tmp_path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3 9\n")
    old.chmod(0o755)
    with pytest.raises(ValueError, match=f"needs Python 3.{OLDEST[1]} or later, and {old} is 3.9"):
        Environment(tmp_path / "made").install(["slurm"], python=str(old))


def test_unknown_schedulers_are_refused(capsys) -> None:
    assert main(["cluster", "setup", "pbs"]) == 2
    assert "SCHEDULER must be one of slurm, lsf, kubernetes, local, got 'pbs'" in capsys.readouterr().err
