import argparse
import json
from pathlib import Path

import pytest

from nnunet_tricks.commands import plan
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.nnunet import plans_file


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


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


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
    edges = [entry["configuration"]["patch_size"][0] for entry in report["configurations"]]
    assert edges == [32, 64, 96, 128, 160, 192]
    sizes = [entry["gigabytes"] for entry in report["configurations"]]
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
    "words", [("--patch", "32"), ("--small",), ("--no-resampling",), ("--normalization", "none"), ("--sweep", "32")]
)
def test_a_dry_run_says_what_would_be(plans: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    before = _files(plans.parent)
    assert _run("501", *words, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "would be" in said
    assert "GPU memory by nnU-Net's own rule: " in said
    assert "Its data are not preprocessed yet: nnUNetv2_preprocess -d 501" in said
    assert _files(plans.parent) == before


def test_a_dry_run_of_another_spacing_says_what_it_takes(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("501", "--spacing", "3", "2", "2", "--dry-run")
    assert _run(*words) == 0
    said = capsys.readouterr().out
    assert "spacing: [3.0, 1.0, 1.0] -> [3.0, 2.0, 2.0]" in said
    assert "larger than the median image (6x12x12)" in said
    assert _run(*words, "--json") == 0
    (configuration,) = json.loads(capsys.readouterr().out)["configurations"]
    assert (configuration["name"], configuration["preprocessed"]) == ("3d_fullres", False)
    assert isinstance(configuration["gigabytes"], float)
    assert "6x12x12" in configuration["padding"]


def test_data_that_are_there_are_not_to_be_preprocessed_again(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (plans.parent / "nnUNetPlansNoResampling_3d_fullres").mkdir()
    assert _run("501", "--no-resampling") == 0
    said = capsys.readouterr().out
    assert "already preprocessed, in nnUNetPlansNoResampling_3d_fullres" in said
    assert "nnUNetv2_preprocess -d" not in said


@pytest.mark.parametrize("words", [("--small",), ("--sweep",), ("--no-resampling",), ("--normalization", "none")])
@pytest.mark.parametrize("content", [None, '{"labels"', "{}", "[]"])
def test_nothing_is_written_without_the_data_sets_description(
    plans: Path, words: tuple[str, ...], content: str | None
) -> None:
    description = plans.with_name("dataset.json")
    description.unlink()
    if content is not None:
        description.write_text(content)
    before = _files(plans.parent)
    with pytest.raises((ValueError, FileNotFoundError), match=r"Dataset501_Test/dataset\.json"):
        _run("501", *words)
    assert _files(plans.parent) == before


@pytest.mark.parametrize("content", ['{"a', "{}"])
def test_a_broken_fingerprint_is_named(plans: Path, content: str) -> None:
    plans.with_name("dataset_fingerprint.json").write_text(content)
    with pytest.raises(ValueError, match=r"dataset_fingerprint\.json"):
        _run("501", "--normalization", "none")


@pytest.mark.parametrize("words", [("--patch", "32"), ("--small",), ("--no-resampling",), ("--spacing", "3", "2", "2")])
@pytest.mark.parametrize("key", ["data_identifier", "spacing", "patch_size", "batch_size"])
def test_incomplete_plans_are_refused_with_file_and_key(plans: Path, words: tuple[str, ...], key: str) -> None:
    content = plans_file.read(plans)
    del content["configurations"]["3d_fullres"][key]
    plans.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"nnUNetPlans\.json is incomplete: .*'3d_fullres' has no '{key}'"):
        _run("501", *words)
    content["configurations"]["3d_fullres"] |= {
        key: tiny_plans("", flat=False, intensities={})["configurations"]["3d_fullres"][key],
        "spacing": [0, 1, 1],
    }
    plans.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"nnUNetPlans\.json: 'spacing' of configuration '3d_fullres' is \[0, 1, 1\]"):
        _run("501", *words)


@pytest.mark.parametrize("name", ["splits_final", "dataset", "dataset_fingerprint", "Dataset"])
def test_plans_have_no_name_of_another_file(plans: Path, name: str) -> None:
    before = _files(plans.parent)
    with pytest.raises(ValueError, match=f"plans cannot be called '{name}'"):
        _run("501", "--no-resampling", "--name", name)
    assert _files(plans.parent) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to plan"),
        (("--patch", "32", "--no-resampling"), "make the plans first, then add the configuration"),
        (("--small", "--batch", "2"), "--batch needs --patch or --sweep"),
        (("--sweep", "32", "--name", "x"), "--sweep excludes --small, --patch and --name"),
        (("--spacing", "2", "--no-resampling"), "--spacing must be two or three numbers from 0.0001 to 10000"),
        (("--spacing", "nan", "1", "1"), "from 0.0001 to 10000, .* got 'nan 1 1'"),
        (("--spacing", "1e-5", "1", "1"), "from 0.0001 to 10000"),
        (("--resize", "200", "0"), "--resize must be two or three numbers of at least 1"),
        (("--resize", "200", "200", "--spacing", "1", "1"), "exclude each other"),
    ],
)
def test_options_that_would_have_no_effect(plans: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _run("501", *words)
