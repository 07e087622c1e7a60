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
    assert report["outcome"] == "added"
    assert report["dry_run"] is True
    assert report["name"] == "mini"
    assert report["configuration"]["patch_size"] == [16, 16, 16]
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
