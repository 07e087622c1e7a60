import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.calibration import calibration
from tests.comparison.world import World, predicted, truth


def test_probabilities_that_mean_what_they_say_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, 200_000)
    right = generator.random(200_000) < sure
    ece, brier = calibration(np.stack([sure, 1 - sure]), np.stack([right, ~right]))
    assert ece < 0.005
    # 2 E[p (1 - p)] for p uniform between 0.5 and 1.
    assert brier == pytest.approx(2 * (3 / 4 - 7 / 12), abs=0.005)


def test_it_is_the_definition_bin_by_bin() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(3, 5000))
    probabilities = np.exp(logits) / np.exp(logits).sum(0)
    label = generator.integers(0, 3, 5000)
    ece, brier = calibration(probabilities, np.arange(3)[:, None] == label)
    assert brier == pytest.approx(np.mean(((probabilities.T - np.eye(3)[label]) ** 2).sum(1)))
    edges, confidence = np.linspace(0, 1, 16), probabilities.max(0)
    expected = 0.0
    for low, high in pairwise(edges):
        within = (confidence >= low) & (confidence < high)
        if within.any():
            right = (probabilities.argmax(0) == label)[within].mean()
            expected += within.mean() * abs(right - confidence[within].mean())
    assert ece == pytest.approx(expected)


def test_one_probability_with_other_last_digits_is_one_bin() -> None:
    """A third is the edge of a bin; half of the voxels are right above it and half are wrong below it."""
    right = np.arange(3)[:, None] == np.repeat([0, 1], 50)
    thirds = np.full((3, 100), 1 / 3)
    thirds[0, :50] += 1e-7
    thirds[0, 50:] += 1e-9 - 1e-7
    thirds[1:] -= 2e-7
    assert calibration(thirds, right)[0] == pytest.approx(0.5 - 1 / 3, abs=1e-6)


def kept(world: World, trainer: str, sure: float) -> None:
    """What ``--npz`` leaves behind."""
    for fold in range(3):
        for case in world.fold_cases(fold):
            chosen = predicted(case, 2)
            probabilities = np.full((3, *chosen.shape), (1 - sure) / 2, np.float16)
            np.put_along_axis(probabilities, chosen[None].astype(int), sure, 0)
            folder = world.model(trainer) / f"fold_{fold}" / "validation"
            np.savez_compressed(folder / f"{world.case(case)}.npz", probabilities=probabilities)


def test_compare_tells_it_where_probabilities_were_kept(world: World, capsys) -> None:
    models = [world.train(name) for name in ("nnUNetTrainer", "nnUNetTrainerTversky")]
    words = ["compare", *map(str, models), "--workers", "1", "--json"]
    kept(world, "nnUNetTrainer", 0.9)
    assert main(words) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert table["statistics"]["baseline"]["calibration"] is None
    kept(world, "nnUNetTrainerTversky", 0.6)
    assert main(words) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    baseline = table["statistics"]["baseline"]["calibration"]
    right = []
    for case in range(6):
        foreground = (truth(case) > 0) | (predicted(case, 2) > 0)
        right.append((truth(case) == predicted(case, 2))[foreground].mean())
    assert baseline["cases"] == 6
    assert baseline["ece"] == pytest.approx(np.mean(np.abs(0.9 - np.array(right))), abs=1e-3)
    assert table["statistics"]["tricks"][0]["calibration"]["ece"] != baseline["ece"]
    assert any("expected calibration error" in note for note in table["notes"])


def test_probabilities_of_other_classes_are_refused(world: World, capsys) -> None:
    world.train("nnUNetTrainer")
    for case in range(6):
        folder = world.model("nnUNetTrainer") / f"fold_{case % 3}" / "validation"
        np.savez_compressed(folder / f"{world.case(case)}.npz", probabilities=np.zeros((2, *truth(0).shape)))
    assert main(["compare", str(world.model("nnUNetTrainer")), "--workers", "1"]) == 2
    assert "probabilities of other classes" in capsys.readouterr().err


def test_a_report_shows_it_too(world: World, tmp_path: Path) -> None:
    models = [world.train(name) for name in ("nnUNetTrainer", "nnUNetTrainerTversky")]
    kept(world, "nnUNetTrainer", 0.9)
    kept(world, "nnUNetTrainerTversky", 0.6)
    out = tmp_path / "report"
    assert main(["compare", *map(str, models), "--workers", "1", "--report", str(out)]) == 0
    assert "<h3>Calibration</h3>" in (out / "report.html").read_text()
    assert "| method | ECE | Brier | cases |" in (out / "report.md").read_text()
    assert main(["verify", str(out)]) == 0
