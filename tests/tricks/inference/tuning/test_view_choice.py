"""Views that pay for their time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from nnunet_tricks.cli import main
from nnunet_tricks.tricks.inference.tuning.view_choice import _sets, chosen_views
from tests.tricks.inference.test_predict import Model, predict

VIEWS = ("identity", "flip0", "flip1")
SECONDS = dict.fromkeys(VIEWS, 1.5)


def chosen(gains: dict[str, float], noise: float, cases: int = 40):
    """Sets whose Dice grows by what each view gains, and differs by chance from case to case."""
    generator = np.random.default_rng(0)
    sets = _sets(3)
    values = generator.uniform(0.6, 0.8, (cases, 1)) + generator.normal(0, noise, (cases, len(sets)))
    for position, views in enumerate(sets):
        values[:, position] += sum(gains.get(VIEWS[view], 0.0) for view in views)
    return chosen_views(values, [str(case % 5) for case in range(cases)], VIEWS, sets, SECONDS)


def test_only_views_that_gain_are_taken() -> None:
    choice = chosen({"flip1": 0.05}, 0.0)
    assert choice.tta == "identity,flip1"
    assert set(choice.by_fold.values()) == {("identity", "flip1")}
    assert choice.p < 0.01
    assert choice.dice == pytest.approx(choice.dice_of_image + 0.05, abs=0.01)
    assert [len(ranked.views) for ranked in choice.ranked] == [1, 2, 3]
    assert [ranked.seconds for ranked in choice.ranked] == [1.5, 3.0, 4.5]


def test_views_without_effect_are_left_out() -> None:
    choice = chosen({}, 0.0)
    assert choice.tta == "none"
    assert choice.p == 1
    assert chosen({"flip0": 0.05, "flip1": 0.05}, 0.005).tta == "identity,flip0,flip1"


def test_one_fold_cannot_choose() -> None:
    with pytest.raises(ValueError, match="tuning needs at least two folds"):
        chosen_views(np.zeros((3, 4)), ["0"] * 3, VIEWS, _sets(3), SECONDS)


@pytest.fixture
def validated(slices: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The 2D model as if its two folds had been validated on its unseen images."""
    name = "Dataset042_Views"
    for folder in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{folder}", str(tmp_path / folder))
    raw, preprocessed = tmp_path / "raw" / name, tmp_path / "preprocessed" / name
    model = tmp_path / "results" / name / "nnUNetTrainer__nnUNetPlans__2d"
    shutil.copytree(slices[0], model)
    shutil.copytree(slices[1], raw / "imagesTr")
    shutil.copy(model / "dataset.json", raw / "dataset.json")
    assert predict(slices, tmp_path / "all", "--tta", "none", "--save_probabilities") == 0
    (preprocessed / "gt_segmentations").mkdir(parents=True)
    files = sorted((tmp_path / "all").glob("*.png"))
    for file in files:
        shutil.copy(file, preprocessed / "gt_segmentations")
    cases = [file.stem for file in files]
    splits = [{"train": cases[1 - fold :: 2], "val": cases[fold::2]} for fold in (0, 1)]
    (preprocessed / "splits_final.json").write_text(json.dumps(splits))
    for fold in (0, 1):
        validation = model / f"fold_{fold}" / "validation"
        shutil.rmtree(validation, ignore_errors=True)
        validation.mkdir()
        for case in splits[fold]["val"]:
            for ending in (".png", ".npz"):
                shutil.copy(tmp_path / "all" / f"{case}{ending}", validation)
    return model


def test_a_search_goes_on_where_it_was_killed_and_predict_takes_what_it_found(
    validated: Path, slices: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tuned.yaml"
    words = ["tune", str(validated), "-o", str(file), "--tta", "identity,flip0", "-device", "cpu", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)["views"]
    assert set(report["seconds"]) == {"identity", "flip0"}
    assert all(seconds > 0 for seconds in report["seconds"].values())
    assert [ranked["views"] for ranked in report["sets"]] == [["identity"], ["identity", "flip0"]]
    tta = yaml.safe_load(file.read_text())["tta"]
    assert tta == ("none" if report["chosen"] == ["identity"] else "identity,flip0")

    predicted = sorted((tmp_path / "tuned_views").glob("*/fold_*/*.npz"))
    before = {made: made.stat().st_mtime_ns for made in predicted}
    predicted[0].unlink()
    assert main([*words, "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["views"]["dice"] == report["dice"]
    after = {made: made.stat().st_mtime_ns for made in predicted}
    assert [made for made in predicted if before[made] != after[made]] == predicted[:1]

    file.write_text(file.read_text().replace(f"tta: {tta}", "tta: identity,flip1"))
    assert predict((validated, slices[1]), tmp_path / "out", "--with", str(file)) == 0
    assert "with 2 views (identity, flip1)" in capsys.readouterr().out
    assert predict((validated, slices[1]), tmp_path / "own", "--with", str(file), "--tta", "none") == 0
    assert "with 1 view (identity)" in capsys.readouterr().out

    # What cannot be tried is refused.
    words = ["tune", str(validated), "-o", str(tmp_path / "t.yaml"), "-device", "cpu", "--disable_progress_bar"]
    assert main([*words, "--tta", "flip0,flip1"]) == 2
    assert "choosing needs identity and 1 to 7 others" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "raw")
    assert main([*words, "--tta"]) == 2
    assert "nnUNet_raw must hold them" in capsys.readouterr().err
    assert not (tmp_path / "t.yaml").exists()
