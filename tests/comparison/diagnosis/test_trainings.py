"""Real trainings that were made to fail in different ways: the cause of each is named, and a healthy one has none."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.cli import main
from nnunet_tricks.comparison.diagnosis import labels, loading, symptom, zeros
from nnunet_tricks.comparison.diagnosis.diagnose import Diagnosis, diagnose
from nnunet_tricks.comparison.diagnosis.rate import RATE_TOO_LARGE
from tests.checkout import ROOT
from tests.comparison.diagnosis.world import CASES, Labels, as_they_are, model, preprocess


def shifted(labels: Labels, number: int) -> Labels:
    return np.roll(labels, (9, -7), (1, 2))


def without_cores(labels: Labels, number: int) -> Labels:
    return labels if number >= CASES else np.minimum(labels, 1)


def ignored(labels: Labels, number: int) -> Labels:
    return np.full_like(labels, 3)


CAUSES = {
    "healthy": (as_they_are, None),
    "rate_10": (as_they_are, RATE_TOO_LARGE),
    "slow_disk": (as_they_are, loading.WAITING),
    "region_order": (as_they_are, labels.ORDER),
    "missing": (without_cores, labels.MISSING),
    "ignored": (ignored, labels.IGNORED),
    "shifted": (shifted, labels.BESIDE),
}


def looked_at(name: str, place: Path) -> Diagnosis:
    folder = model(name)
    description = json.loads((folder / "dataset.json").read_text())
    plans = json.loads((folder / "plans.json").read_text())
    preprocessed = preprocess(place, description, CAUSES[name][0], dataset=plans["dataset_name"])
    (diagnosis,) = diagnose(folder, variables={"nnUNet_preprocessed": str(preprocessed)})
    return diagnosis


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_named_first(name: str, tmp_path: Path) -> None:
    diagnosis = looked_at(name, tmp_path)
    cause = CAUSES[name][1]
    assert diagnosis.notes == ()
    assert [finding.cause for finding in diagnosis.findings][:1] == ([cause] if cause else [])


@pytest.mark.parametrize(
    ("name", "symptom"),
    [
        ("rate_10", symptom.EXPLODES),
        ("slow_disk", loading.SLOW),
        ("region_order", symptom.WORSE),
        ("missing", symptom.STAYS_AT_0),
        ("ignored", symptom.IS_NAN),
    ],
)
def test_what_was_seen_is_joined_to_the_cause(name: str, symptom: str, tmp_path: Path) -> None:
    finding = looked_at(name, tmp_path).findings[0]
    assert finding.symptom == symptom
    assert finding.seen
    assert finding.advice


def test_cases_that_lack_the_class_are_named_where_the_trainer_does_not_know(tmp_path: Path) -> None:
    folder = model("missing")
    description = json.loads((folder / "dataset.json").read_text())
    dataset = json.loads((folder / "plans.json").read_text())["dataset_name"]
    first, second = [name for name in description["labels"] if name != "background"]

    def half_without(labels: Labels, number: int) -> Labels:
        return without_cores(labels, number) if number % 2 else labels

    preprocessed = preprocess(tmp_path, description, half_without, dataset=dataset)
    table = {f"case_{number:02d}": [first] for number in range(1, CASES, 2)}
    (preprocessed / dataset / "annotated.json").write_text(json.dumps(table))
    (diagnosis,) = diagnose(folder, variables={"nnUNet_preprocessed": str(preprocessed)})
    finding = diagnosis.findings[0]
    assert (finding.cause, finding.symptom, finding.classes) == (labels.LACKING, symptom.STAYS_AT_0, (second,))
    assert f"{CASES // 2} of {CASES} training cases are not annotated for '{second}'" in finding.seen[0]
    assert "PartialLabels" in finding.tricks


@pytest.mark.parametrize("name", CAUSES)
def test_without_data_the_log_still_tells_and_a_note_says_what_is_missing(name: str) -> None:
    (diagnosis,) = diagnose(model(name), variables={})
    assert any("were not looked at" in note for note in diagnosis.notes)
    causes = {finding.cause for finding in diagnosis.findings}
    expected = {"healthy": set(), "missing": {zeros.TOO_FEW}, "rate_10": {RATE_TOO_LARGE}}
    if name in expected:
        assert causes == expected[name]


def test_the_command_says_it_in_users_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curves.png"
    assert main(["diagnose", str(model("rate_10")), "--no-data", "--picture", str(picture)]) == 1
    said = capsys.readouterr().out
    assert '"my loss explodes": learning rate too large' in said
    assert "nnUNetTrainerWarmup" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["diagnose", str(model("healthy") / "fold_0"), "--no-data", "--json"]) == 0
    (fold,) = json.loads(capsys.readouterr().out)["folds"]
    assert (fold["fold"], fold["epochs"], fold["findings"]) == ("0", 12, [])


def test_a_log_is_enough_without_torch() -> None:
    words = ["diagnose", str(model("region_order")), "--no-data"]
    code = (
        f"import sys; from nnunet_tricks.cli import main; code = main({words!r}); "
        "sys.exit('torch' in sys.modules or code != 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "order of the regions" in done.stdout


def test_an_unfinished_training_is_looked_at_as_far_as_it_went(tmp_path: Path) -> None:
    folder = shutil.copytree(model("rate_10"), tmp_path / model("rate_10").name)
    shutil.rmtree(folder / "fold_0" / "validation")
    (folder / "fold_0" / "checkpoint_final.pth").unlink()
    (log,) = (folder / "fold_0").glob("training_log_*.txt")
    lines = log.read_text().splitlines(keepends=True)
    epochs = [number for number, line in enumerate(lines) if "Epoch 4 " in line]
    log.write_text("".join(lines[: epochs[0] + 2]))
    (diagnosis,) = diagnose(folder, variables={})
    assert [finding.cause for finding in diagnosis.findings] == [RATE_TOO_LARGE]
    assert "the training is not finished: 4 of 12 epochs, it runs or has been stopped" in diagnosis.notes
    log.write_text("".join(lines[:3]))
    (diagnosis,) = diagnose(folder, variables={})
    assert diagnosis.findings == ()
    assert any("has no finished epoch" in note for note in diagnosis.notes)


def test_without_a_log_a_checkpoint_tells_and_nothing_in_it_runs(tmp_path: Path) -> None:
    folder = shutil.copytree(model("healthy"), tmp_path / "model")
    fold = folder / "fold_0"
    (log,) = fold.glob("training_log_*.txt")
    log.unlink()
    count = 6
    logging = {
        "lrs": [0.01] * count,
        "train_losses": [np.float64(-0.1)] * count,
        "val_losses": [np.float64(-0.1)] * count,
        "dice_per_class_or_region": [[np.float32(0.5), np.float32(value)] for value in (0.4, 0.5, 0.4, 0, 0, 0)],
        "epoch_start_timestamps": [0.0] * count,
        "epoch_end_timestamps": [7.0] * count,
    }
    torch.save({"logging": logging}, fold / "checkpoint_final.pth")
    (diagnosis,) = diagnose(folder, variables={})
    assert diagnosis.training.source == "checkpoint_final.pth"
    assert [(finding.symptom, finding.epoch) for finding in diagnosis.findings if finding.classes == ("core",)] == [
        (symptom.FALLS_TO_0, 3)
    ]
    torch.save({"logging": logging, "harm": Path}, fold / "checkpoint_final.pth")
    with pytest.raises(ValueError, match="holds more than weights, numbers and settings"):
        diagnose(folder, variables={})


@pytest.mark.parametrize(
    ("make", "words", "reason"),
    [
        ([], [], "is no model folder of nnU-Net, it has no fold_X"),
        (["model/fold_0"], [], "is no model folder of nnU-Net, it has no fold_X: give one of .*model"),
        (["fold_0"], [], "has neither a training_log_.*.txt nor a checkpoint"),
        (["fold_0"], ["-f", "3"], "has no fold_3: there are 0"),
        (["fold_0"], ["--picture", "curves.txt"], "--picture takes a file that ends with .png"),
    ],
)
def test_what_cannot_be_looked_at_is_one_sentence(
    make: list[str], words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in make:
        (tmp_path / name).mkdir(parents=True)
    assert main(["diagnose", str(tmp_path), *words]) == 2
    said = capsys.readouterr().err
    assert re.search(reason, said)
    assert said.count("\n") == 1


def test_every_trick_that_is_named_is_a_trainer() -> None:
    sources = (ROOT / "nnunet_tricks" / "comparison" / "diagnosis").glob("*.py")
    named = set()
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                values = [*node.args[5:6], *(word.value for word in node.keywords if word.arg == "tricks")]
                named |= {name for value in values for name in ast.literal_eval(value)}
    assert len(named) >= 8
    for name in named:
        parse(f"nnUNetTrainer{name}")


def test_a_log_without_epochs_is_not_said_to_be_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model("healthy"), folder / model("healthy").name)
    for log in folder.rglob("training_log*.txt"):
        log.write_bytes(bytes(range(256)))
    main(["diagnose", str(folder / model("healthy").name), "--no-data"])
    told = capsys.readouterr().out
    assert "There is no epoch to look at." in told
    assert "Nothing was found" not in told
