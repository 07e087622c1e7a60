"""``pretext fewer``: which cases keep labels, and what becomes of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnunet_tricks.cli import main
from tests.annotation.world import CASES, DATASET, array, build, labels_of

FEW = "Dataset611_Toy_labels0p25"


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return build(tmp_path, monkeypatch)


def fewer(*words: object, share: float = 0.25, to: int = 611, expect: int = 0) -> None:
    arguments = ["pretext", "fewer", "501", "--to", str(to), "--share", str(share), *map(str, words)]
    assert main(arguments) == expect


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_a_share_keeps_labels_and_all_other_images_have_none(raw: Path) -> None:
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    fewer("--fold", 1)
    made = raw.parent / FEW
    stock = generate_crossval_split(CASES)[1]
    (fold,) = read(made / "splits_final.json")
    assert fold["val"] == [*map(str, stock["val"])]
    assert len(fold["train"]) == round(0.25 * len(stock["train"]))
    assert {*fold["train"]} < {*stock["train"]}
    unlabelled = {file.name.removesuffix("_0000.nii.gz") for file in (made / "imagesUn").iterdir()}
    assert unlabelled == {*stock["train"]} - {*fold["train"]}
    labelled = {file.name.removesuffix(".nii.gz") for file in (made / "labelsTr").iterdir()}
    assert labelled == {*fold["train"], *fold["val"]}
    for case in labelled:
        assert (array(made / "labelsTr" / f"{case}.nii.gz") == labels_of(int(case[4:]))).all()
    for file in [*(made / "imagesTr").iterdir(), *(made / "imagesUn").iterdir()]:
        assert file.resolve() == raw / "imagesTr" / file.name
    assert (made / "imagesTs/test_0000.nii.gz").is_symlink()
    assert read(made / "dataset.json") == read(raw / "dataset.json") | {"numTraining": len(labelled)}
    manifest = read(made / "sparse_manifest.json")
    assert manifest["source"] == DATASET
    assert manifest["unlabelled"].keys() == unlabelled
    beside = raw.parents[1] / "preprocessed" / FEW
    assert read(beside / "nnUNetPlans.json")["dataset_name"] == FEW
    assert read(beside / "splits_final.json") == [fold]


def test_larger_shares_contain_smaller_ones_and_seeds_differ(raw: Path) -> None:
    kept = {}
    for number, (share, seed) in enumerate([(0.01, 0), (0.4, 0), (0.9, 0), (0.4, 1)], start=611):
        fewer("--seed", seed, share=share, to=number)
        (made,) = raw.parent.glob(f"Dataset{number}_*")
        (fold,) = read(made / "splits_final.json")
        kept[share, seed] = {*fold["train"]}
    assert len(kept[0.01, 0]) == 1
    assert kept[0.01, 0] < kept[0.4, 0] < kept[0.9, 0]
    assert kept[0.4, 1] != kept[0.4, 0]


def test_nothing_is_written_in_a_dry_run(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fewer("--dry-run", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["name"] == FEW
    assert len(report["labelled"]) + report["unlabelled"] + report["validation"] == len(CASES)
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]


@pytest.mark.parametrize(
    ("words", "share", "said"),
    [
        ((), 1.0, "--share must be above 0 and below 1, got 1"),
        ((), 0.0, "--share must be above 0 and below 1, got 0"),
        ((), 0.99, "--share 0.99 of 8 training cases leaves no image without a label"),
        (("--fold", 5), 0.5, "fold must be from 0 to 4, got 5"),
    ],
)
def test_shares_and_folds_that_do_not_fit_are_refused(raw: Path, capsys, words, share: float, said: str) -> None:
    fewer(*words, share=share, expect=2)
    assert said in capsys.readouterr().err
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]


def test_a_case_without_a_label_and_missing_plans_are_named(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = raw / "labelsTr/case3.nii.gz"
    content = label.read_bytes()
    label.unlink()
    fewer(expect=2)
    assert "no image or label of case3" in capsys.readouterr().err
    label.write_bytes(content)
    (raw.parents[1] / "preprocessed" / DATASET / "nnUNetPlans.json").unlink()
    fewer(expect=2)
    assert "has no plans: first run 'nnUNetv2_plan_and_preprocess -d 501'" in capsys.readouterr().err
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]
