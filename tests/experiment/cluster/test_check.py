"""The check of a cluster, on the cluster that is always there: Snakemake on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_tricks.cli import main


def checked(folder: Path, setup: str, monkeypatch, snakemake: Path) -> int:
    monkeypatch.setenv("NNUNET_TRICKS_SNAKEMAKE", str(snakemake))
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(folder / name))
    profile = folder / "mine.yaml"
    profile.write_text(f"scheduler: local\nsetup: [{setup.format(folder=folder)}]\n")
    return main(["cluster", "check", "--profile", str(profile), "--device", "cpu", "--timeout", "5min"])


def test_all_is_well(tmp_path, monkeypatch, snakemake, capsys) -> None:
    assert checked(tmp_path, "", monkeypatch, snakemake) == 0
    output = capsys.readouterr().out
    assert output.count("ran on") == 2
    assert output.endswith("All is well.\n")


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        ("rm -rf {folder}/preprocessed", "does not see nnUNet_preprocessed="),
        ("module load no/such/thing", "setup"),
    ],
    ids=["a folder that the node does not see", "a line of setup that fails"],
)
def test_what_is_wrong_is_named(tmp_path, monkeypatch, snakemake, capsys, setup, complaint) -> None:
    assert checked(tmp_path, setup, monkeypatch, snakemake) == 1
    output = capsys.readouterr().out
    assert "All is well" not in output
    assert complaint in next(line for line in output.splitlines() if line.startswith("wrong: "))
