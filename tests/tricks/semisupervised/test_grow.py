"""``annotate grow``: labels where trained models are certain, and no validation case that teaches itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import io

from nnunet_tricks.annotation.raw_data import sha256
from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES
from nnunet_tricks.conformance.tiny_images import IGNORED
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.tricks.inference.predict import PredictionWork
from nnunet_tricks.tricks.semisupervised.growing.grow import grow
from nnunet_tricks.tricks.semisupervised.growing.protocol import labellers, may_label
from nnunet_tricks.tricks.semisupervised.growing.report import GrowReport
from nnunet_tricks.tricks.semisupervised.growing.settings import GrowSettings
from tests.tricks.inference.conftest import with_noise

HERE = PredictionWork(device="cpu", preprocessing=0, export=0, progress=False, resume=True)
SPLITS = [
    {"train": [case for case in TRAINING_CASES if case != held_out], "val": [held_out]} for held_out in TRAINING_CASES
]
NAME = "Dataset902_Tiny2DLabelsIgnore"
LIMIT = 0.5
"""Networks of two epochs are certain of nothing."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """nnU-Net's folders with a model of three folds whose weights differ, and images without labels."""
    trainer = trainers.find("nnUNetTrainerNoDeepSupervision")
    assert trainer is not None
    root = tmp_path_factory.mktemp("grow")
    with Bench() as bench, bench.room(trainer, Situation("labels+ignore", "2d", False)) as run:
        STEPS["epochs"](run)
        shutil.copytree(run.data.raw.parent, root / "raw")
        shutil.copytree(run.data.preprocessed.parent, root / "preprocessed")
        shutil.copytree(run.folder / "results", root / "results")
        model = root / "results" / run.data.name / run.model_folder().name
    for fold in (1, 2):
        shutil.copytree(model / "fold_0", model / f"fold_{fold}")
        with_noise(model / f"fold_{fold}" / "checkpoint_final.pth")
    (root / "preprocessed" / NAME / "splits_final.json").write_text(json.dumps(SPLITS))
    unlabelled = root / "raw" / NAME / "imagesUn"
    unlabelled.mkdir()
    shutil.copy(root / "raw" / NAME / "imagesTr" / "case_0_0000.png", unlabelled / "new_0000.png")
    picture = io.imread(unlabelled / "new_0000.png")
    io.imsave(unlabelled / "new_0000.png", picture[::-1], check_contrast=False)
    return root, model


@pytest.fixture
def world(trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Folders, Path]:
    root, model = trained
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    return Folders.of_environment(), tmp_path / model.relative_to(root)


def labels_of(folder: Path, case: str) -> np.ndarray:
    return np.asarray(io.imread(folder / "labelsTr" / f"{case}.png"))


def test_what_is_kept_is_what_the_folds_own_model_is_certain_about(world: tuple[Folders, Path]) -> None:
    folders, model = world
    settings = GrowSettings(
        models=(model,), thresholds={"": LIMIT}, images=folders.raw / NAME / "imagesUn", keep_empty=True
    )
    report = grow(folders, "902", 950, settings, HERE, keep_predictions=True)
    new, old = folders.raw / report.name, folders.raw / NAME
    assert report.members == {str(fold): [f"{model.name} fold {fold}"] for fold in range(3)}
    manifest = json.loads((new / "sparse_manifest.json").read_text())
    splits = json.loads((folders.preprocessed / report.name / "splits_final.json").read_text())
    for fold, parts in enumerate(SPLITS):
        made = [f"{case}_grown{fold}" for case in (*parts["train"], "new")]
        assert splits[fold] == {"train": made, "val": parts["val"]}
        probabilities = folders.preprocessed / NAME / "grow_predictions" / f"{model.name}__fold_{fold}/probabilities"
        assert {file.stem for file in probabilities.glob("*.npz")} == {*parts["train"], "new"}
        for version in made:
            case = version.removesuffix(f"_grown{fold}")
            likely = np.load(probabilities / f"{case}.npz")["probabilities"][:, 0]
            labels = likely.argmax(0)
            known = labels_of(old, case) if case != "new" else np.full(labels.shape, IGNORED)
            expected = np.where((known == IGNORED) & (likely.max(0) >= np.float32(LIMIT)), labels, known)
            np.testing.assert_array_equal(labels_of(new, version), expected)
            entry = manifest["cases"][version]
            assert entry["label_sha256"] == sha256(new / "labelsTr" / f"{version}.png")
            unknown = known == IGNORED
            assert entry["unknown"] == unknown.sum()
            assert entry["still_unknown"] == (expected == IGNORED).sum()
            predicted = unknown & (labels == 1)
            share = round((predicted & (expected == 1)).sum() / predicted.sum(), 4) if predicted.any() else None
            assert entry["kept"]["organ"] == share
    assert any(entry.get("still_unknown", 1) < entry.get("unknown", 0) for entry in manifest["cases"].values())
    # What is scored is what was scored before.
    for case in TRAINING_CASES:
        assert (new / "labelsTr" / f"{case}.png").read_bytes() == (old / "labelsTr" / f"{case}.png").read_bytes()
    plans = json.loads((folders.preprocessed / report.name / "nnUNetPlans.json").read_text())
    assert plans["dataset_name"] == report.name


def test_no_validation_case_teaches_itself(world: tuple[Folders, Path]) -> None:
    """Labels of the fold's validation case, and all models that have seen them, may be anything."""
    folders, model = world
    settings = GrowSettings(models=(model,), thresholds={"": LIMIT}, keep_empty=True)
    first = folders.raw / grow(folders, "902", 950, settings, HERE).name
    for fold in (1, 2):
        with_noise(model / f"fold_{fold}" / "checkpoint_final.pth")
    (held_out,) = SPLITS[0]["val"]
    file = folders.raw / NAME / "labelsTr" / f"{held_out}.png"
    labels = labels_of(folders.raw / NAME, held_out)
    io.imsave(
        file, np.where(labels == IGNORED, IGNORED, 1 - np.minimum(labels, 1)).astype(np.uint8), check_contrast=False
    )
    second = folders.raw / grow(folders, "902", 951, settings, HERE).name
    for case in SPLITS[0]["train"]:
        np.testing.assert_array_equal(labels_of(first, f"{case}_grown0"), labels_of(second, f"{case}_grown0"))
    assert not (first / "labelsTr" / f"{held_out}_grown0.png").exists()
    changed = [
        not np.array_equal(labels_of(first, f"{held_out}_grown{fold}"), labels_of(second, f"{held_out}_grown{fold}"))
        for fold in (1, 2)
    ]
    assert any(changed)  # the comparison can tell


def test_a_last_training_gets_labels_of_all_folds_and_nothing_to_score(world: tuple[Folders, Path]) -> None:
    folders, model = world
    settings = GrowSettings(models=(model,), thresholds={"": LIMIT}, final=True)
    report = grow(folders, "902", 950, settings, HERE, keep_predictions=True)
    splits = json.loads((folders.preprocessed / report.name / "splits_final.json").read_text())
    assert splits == [{"train": sorted(TRAINING_CASES), "val": []}] * 3
    places = [folders.preprocessed / NAME / "grow_predictions" / f"{model.name}__fold_{fold}" for fold in range(3)]
    for case in TRAINING_CASES:
        members = [np.load(place / "probabilities" / f"{case}.npz")["probabilities"][:, 0] for place in places]
        mean = sum(members) / np.float32(3)
        certain = mean.max(0) >= LIMIT
        for member in members:
            certain &= member.argmax(0) == mean.argmax(0)
        known = labels_of(folders.raw / NAME, case)
        expected = np.where((known == IGNORED) & certain, mean.argmax(0), known)
        np.testing.assert_array_equal(labels_of(folders.raw / report.name, case), expected)


def test_a_dry_run_writes_nothing_and_a_second_call_predicts_nothing_again(
    world: tuple[Folders, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folders, model = world
    words = ["annotate", "grow", "902", "--to", "950", "-m", str(model), "-f", "0", "--threshold", "0.5"]
    words += ["-device", "cpu", "-npp", "0", "-nps", "0"]
    before = sorted(folders.preprocessed.rglob("*"))
    assert main([*words, "--dry-run", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["dry_run"]
    assert answer["labelled"] == {"0": 2}
    assert sorted(folders.preprocessed.rglob("*")) == before
    assert main([*words, "--keep-predictions"]) == 0
    out = capsys.readouterr()
    assert "has one model, which agrees with itself" in out.err
    assert "nnUNetv2_train 950 2d 0" in out.out
    (made,) = (folders.preprocessed / NAME / "grow_predictions").glob("*/probabilities")
    times = {file.name: file.stat().st_mtime_ns for file in made.glob("*.npz")}
    words[4] = "951"
    assert main(words) == 0
    splits = json.loads((folders.raw / "Dataset951_Tiny2DLabelsIgnore_grown" / "splits_final.json").read_text())
    assert splits[1:] == SPLITS[1:]  # folds without new labels train as ever
    assert len(times) == 2
    assert not made.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ()}, "no model is given"),
        ({"thresholds": {"": 0.2}}, "must be from 0.5 to 1"),
        ({"folds": (7,)}, "the split has 3"),
        ({"checkpoint": "checkpoint_best.pth", "folds": (1,)}, "no other fold's model may label for fold 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    world: tuple[Folders, Path], change: dict[str, Any], message: str
) -> None:
    folders, model = world
    (model / "fold_1" / "checkpoint_best.pth").unlink(missing_ok=True)
    settings = replace(GrowSettings(models=(model,)), **change)
    with pytest.raises(ValueError, match=message):
        grow(folders, "902", 950, settings, HERE, dry_run=True)


def test_models_data_and_images_that_do_not_fit_are_refused(world: tuple[Folders, Path]) -> None:
    folders, model = world
    settings = GrowSettings(models=(model,))

    def refused(message: str, settings: GrowSettings = settings) -> None:
        with pytest.raises(ValueError, match=message):
            grow(folders, "902", 950, settings, HERE, dry_run=True)
        assert not (folders.preprocessed / NAME / "grow_predictions").exists()

    refused("given twice", replace(settings, models=(model, model)))
    refused("is no model folder", replace(settings, models=(model.parent,)))
    unlabelled = folders.raw / NAME / "imagesUn"
    shutil.copy(folders.raw / NAME / "imagesTr" / "case_2_0000.png", unlabelled / "other_0000.png")
    refused("is the image of case_2", replace(settings, images=unlabelled))
    (unlabelled / "other_0000.png").rename(unlabelled / "case_2_0000.png")
    refused("has case_2, and so has", replace(settings, images=unlabelled))
    refused("is no folder", replace(settings, images=folders.raw / "nowhere"))
    (folders.raw / "empty").mkdir()
    refused("has no image of the form CASE_0000.png", replace(settings, images=folders.raw / "empty"))

    validated = {"metric_per_case": [{"prediction_file": "/elsewhere/case_1.png"}]}
    (model / "fold_0" / "validation").mkdir(exist_ok=True)
    (model / "fold_0" / "validation" / "summary.json").write_text(json.dumps(validated))
    refused("was validated in fold 0 on other cases")
    (model / "fold_0" / "validation" / "summary.json").unlink()

    plans = json.loads((model / "plans.json").read_text())
    (model / "plans.json").write_text(json.dumps({**plans, "dataset_name": "Dataset007_Other"}))
    refused("was trained on Dataset007_Other")
    (model / "plans.json").write_text(json.dumps(plans))

    (folders.preprocessed / NAME / "splits_final.json").unlink()
    refused("has no splits_final.json")
    description = json.loads((folders.raw / NAME / "dataset.json").read_text())
    del description["labels"]["ignore"]
    (folders.raw / NAME / "dataset.json").write_text(json.dumps(description))
    refused("has no ignore label")


def test_only_models_that_have_not_seen_its_validation_cases_label_for_a_fold(tmp_path: Path) -> None:
    """Folds that hold out the same cases may label for each other."""
    splits = [
        {"train": ["c", "d"], "val": ["a", "b"]},
        {"train": ["c"], "val": ["a", "b"]},
        {"train": ["a", "b"], "val": ["c", "d"]},
    ]
    # A model of all cases beside them has seen everything, and labels for no fold.
    for fold in (*range(3), "all"):
        (tmp_path / f"fold_{fold}").mkdir()
        (tmp_path / f"fold_{fold}" / "final.pth").touch()
    members = labellers(splits, [tmp_path], (), "final.pth")
    assert {fold: [member.fold for member in group] for fold, group in members.items()} == {
        "0": [0, 1],
        "1": [0, 1],
        "2": [2],
    }
    assert all(may_label(splits, fold, fold) for fold in range(3))


def test_classes_that_get_no_label_are_warned_of() -> None:
    report = GrowReport("Dataset950_Made", {}, {}, kept={"background": 0.8, "kidney": 0.3, "tumour": 0.0, "cyst": None})
    report.note_starved_classes()
    (note,) = report.notes
    assert "no label of tumour, cyst was added" in note
    assert "tumour=0.7" in note
    for kept in ({"background": 0.8, "kidney": 0.3}, {"background": 0.0, "kidney": None}):
        fine = GrowReport("Dataset950_Made", {}, {}, kept=kept)
        fine.note_starved_classes()
        assert fine.notes == []
