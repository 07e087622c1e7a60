import argparse
import json
from pathlib import Path

import pytest

from nnunet_tricks.commands import plan
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.planning import plans_file


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    content = tiny_plans("Dataset501_Test", flat=False, intensities={})
    content["configurations"]["3d_fullres"]["patch_size"] = [16, 32, 32]
    file = tmp_path / "Dataset501_Test" / "nnUNetPlans.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content))
    (file.parent / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "organ": 1}}))
    (file.parent / "dataset_fingerprint.json").write_text(json.dumps({"median_relative_size_after_cropping": 1.0}))
    monkeypatch.setenv(plans_file.VARIABLE, str(tmp_path))
    return file


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    plan.add_arguments(parser)
    return plan.run(parser.parse_args(words))


def test_it_adds_the_configuration_once_and_says_how_to_train(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("501", "--from", "3d_fullres", "--small") == 0
    said = capsys.readouterr().out
    assert "3d_fullres_small added" in said
    assert "nnUNetv2_train 501 3d_fullres_small 0" in said
    assert "not preprocessed yet: nnUNetv2_preprocess -d 501 -c 3d_fullres\n" in said
    (plans.parent / "nnUNetPlans_3d_fullres").mkdir()
    assert plans_file.read(plans)["configurations"]["3d_fullres_small"]["inherits_from"] == "3d_fullres"
    assert _run("501", "--small") == 0
    said = capsys.readouterr().out
    assert "there already" in said
    assert "not preprocessed" not in said


def test_a_dry_run_writes_nothing_and_json_is_json(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = plans.read_bytes()
    assert _run("Dataset501_Test", "--small", "--dry-run", "--json", "--name", "mini", "--patch", "16", "16", "16") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dry_run"] is True
    (added,) = report["configurations"]
    assert (added["name"], added["outcome"]) == ("mini", "added")
    assert added["configuration"]["patch_size"] == [16, 16, 16]
    assert plans.read_bytes() == before


def test_other_plans(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans.rename(plans.with_name("nnUNetResEncUNetMPlans.json"))
    with pytest.raises(ValueError, match="choose with -p"):
        _run("501", "--small")
    assert _run("501", "--small", "-p", "nnUNetResEncUNetMPlans") == 0
    assert capsys.readouterr().out.endswith("-p nnUNetResEncUNetMPlans\n")


def test_a_configuration_that_is_not_there(plans: Path) -> None:
    with pytest.raises(ValueError, match="did you mean '3d_fullres'"):
        _run("501", "--from", "3d_fulres", "--small")


def test_a_patch_says_what_changes(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("501", "--patch", "32", "--batch", "1") == 0
    said = capsys.readouterr().out
    assert "3d_fullres_patch32 added" in said
    assert "patch_size: [16, 32, 32] -> [32, 32, 32]" in said
    assert "batch_size: 2 -> 1" in said
    assert "GPU memory by nnU-Net's own rule" in said
    assert "larger than the median image" in said
    assert plans_file.read(plans)["configurations"]["3d_fullres_patch32"]["batch_size"] == 1


def test_a_sweep_adds_all_or_nothing(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = plans.read_bytes()
    with pytest.raises(ValueError, match=r"\[8, 8, 8\] is too small"):
        _run("501", "--sweep", "32", "8")
    assert plans.read_bytes() == before
    assert _run("501", "--sweep", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    edges = [one["configuration"]["patch_size"][0] for one in report["configurations"]]
    assert edges == [32, 64, 96, 128, 160, 192]
    sizes = [one["gigabytes"] for one in report["configurations"]]
    assert sizes == sorted(sizes)


def test_other_preprocessing_is_a_plans_file_of_its_own(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = plans.read_bytes()
    words = ("501", "--no-resampling", "--normalization", "minmax")
    assert _run(*words, "--dry-run") == 0
    assert "without 3d_lowres, 3d_cascade_fullres" in capsys.readouterr().out
    new = plans.with_name("nnUNetPlansNoResamplingMinMax.json")
    assert not new.exists()
    for says in ("written", "there already"):
        assert _run(*words) == 0
        said = capsys.readouterr().out
        assert says in said
    assert "nnUNetv2_preprocess -d 501 -plans_name nnUNetPlansNoResamplingMinMax -c 3d_fullres\n" in said
    assert "nnUNetv2_train 501 3d_fullres 0 -p nnUNetPlansNoResamplingMinMax\n" in said
    assert plans_file.read(new)["plans_name"] == new.stem
    assert plans.read_bytes() == before
    new.write_text(new.read_text().replace("RescaleTo01Normalization", "NoNormalization"))
    with pytest.raises(ValueError, match="already with other content"):
        _run(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to plan"),
        (("--patch", "32", "--no-resampling"), "first the plans, then with -p"),
        (("--small", "--batch", "2"), "--batch goes with"),
        (("--sweep", "32", "--name", "x"), "--sweep stands alone"),
        (("--spacing", "2", "--no-resampling"), "--spacing takes two or three numbers above 0"),
        (("--resize", "200", "0"), "--resize takes two or three numbers above 0"),
        (("--resize", "200", "200", "--spacing", "1", "1"), "exclude each other"),
    ],
)
def test_options_that_would_have_no_effect(plans: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _run("501", *words)
