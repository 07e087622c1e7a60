"""The command on a cross-validation whose faults are known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import yaml

from nnunet_tricks.cli import main
from tests.comparison.world import SHAPE, World, truth, write
from tests.terminals import at_terminal


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tumors are predicted with too low a probability, and each kidney with a speck of its own."""
    world = World(tmp_path, count=24)
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    folder = world.train()
    plans = json.loads((folder / "plans.json").read_text()) | {"image_reader_writer": "SimpleITKIO"}
    world.write_json(folder / "plans.json", plans)
    generator = np.random.default_rng(0)
    for fold in range(3):
        for case in world.fold_cases(fold):
            labels = truth(case)
            labels[0, 0, 11] = labels[5, 0, 11] = 1
            scores = np.stack([np.where(labels == label, 2.0, -2.0) for label in range(3)])
            scores += generator.normal(0, 0.3, scores.shape)
            # Half of each tumor is called kidney, but only just.
            half = (labels == 2) & (np.arange(SHAPE[0]) % 2 == 0)[:, None, None]
            scores[1][half], scores[2][half] = 1.5, 1.0
            probabilities = (np.exp(scores) / np.exp(scores).sum(0)).astype(np.float32)
            target = folder / f"fold_{fold}" / "validation" / world.case(case)
            np.savez_compressed(f"{target}.npz", probabilities=probabilities)
            write(Path(f"{target}.nii.gz"), probabilities.argmax(0).astype(np.uint8))
    return folder


def test_what_helps_survives_and_is_applied(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tuned.yaml"
    assert main(["tune", str(model), "-o", str(file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    survives = {(step["kind"], step["class"]) for step in report["steps"] if step["survives"]}
    assert {("threshold", "tumor"), ("keep largest", "kidney")} <= survives
    assert report["cases"] == 24
    assert report["together"]["tumor"] > 0.2
    content = yaml.safe_load(file.read_text())
    assert 0 < content["thresholds"]["tumor"] < 0.5
    assert any(step.startswith("kidney:") for step in content["steps"])

    validation = model / "fold_0" / "validation"
    assert main(["postprocess", str(validation), str(tmp_path / "out"), "--with", str(file)]) == 0
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(next((tmp_path / "out").glob("*.nii.gz")))))
    assert not image[0, 0, 11]

    assert main(["tune", str(model), "-o", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["tune", str(model), "-o", str(file), "--overwrite"]) == 0
    said = capsys.readouterr().out
    assert "Mean Dice: kidney" in said
    assert "KeepLargest " in said
    assert "…" not in said
    assert all(line.split()[-1] == "survives" for line in said.splitlines() if "threshold 0" in line)

    for columns in (40, 80):
        shown = at_terminal(columns, "tune", model, "-o", file, "--overwrite", "--disable_progress_bar")
        assert shown.code == 0, shown.text
        # A path is longer than a line, and stays whole.
        assert max(len(line) for line in shown.lines if "/" not in line) <= columns
        assert {"survives", "optimism", "KeepLargest"} <= set(shown.words)


def test_settings_of_other_labels_are_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tuned.yaml"
    assert main(["tune", str(model), "-o", str(file)]) == 0
    content = yaml.safe_load(file.read_text())
    content["labels"]["spleen"] = 3
    file.write_text(yaml.safe_dump(content))
    words = ["postprocess", str(model / "fold_0" / "validation"), str(tmp_path / "out"), "--with", str(file)]
    assert main(words) == 2
    assert "was made for the labels" in capsys.readouterr().err
    del content["labels"]["spleen"]
    for spoiled, reason in (
        ({"labels": "kidney"}, "was made for the labels kidney"),
        ({"thresholds": {"kidney": "high"}}, "must have a number for each class"),
        ({"steps": 3}, "must have a list such as"),
        ({"steps": ["spleen:KeepLargest"]}, "is for 'spleen', and the data set has"),
    ):
        file.write_text(yaml.safe_dump(content | spoiled))
        assert main(words) == 2
        assert reason in capsys.readouterr().err
    file.write_text("a: [")
    assert main(words) == 2
    assert "cannot be read" in capsys.readouterr().err
    file.write_text("a: 1")
    assert main(words) == 2
    assert "is no file of 'nnunet-tricks tune'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_probabilities_and_folds_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", str(model), "-o", str(tmp_path), "--overwrite"]) == 2
    assert f"{tmp_path} is a folder: give the name of a file" in capsys.readouterr().err
    file = next((model / "fold_1" / "validation").glob("*.npz"))
    stored = np.load(file)["probabilities"]
    np.savez_compressed(file, probabilities=stored[:2])
    assert main(["tune", str(model), "-o", str(tmp_path / "tuned.yaml")]) == 2
    assert "has 2 classes, and dataset.json 3: they are of different models" in capsys.readouterr().err
    stored[0, 0, 0, 0] = np.nan
    np.savez_compressed(file, probabilities=stored)
    assert main(["tune", str(model), "-o", str(tmp_path / "tuned.yaml")]) == 2
    assert f"{file} has probabilities that are no numbers" in capsys.readouterr().err
    file.unlink()
    assert main(["tune", str(model), "-o", str(tmp_path / "tuned.yaml")]) == 2
    assert f"{file} is missing: validate all folds with probabilities" in capsys.readouterr().err
    shutil.rmtree(model / "fold_1")
    shutil.rmtree(model / "fold_2")
    assert main(["tune", str(model), "-o", str(tmp_path / "tuned.yaml")]) == 2
    assert "tuning needs at least two folds" in capsys.readouterr().err
    assert not (tmp_path / "tuned.yaml").exists()
