"""``nnunet-tricks split``: what it writes, refuses and says."""

import json
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.nnunet.parts import Part
from tests.comparison.world import SPACING, World, truth, write

PATIENTS = ["A", "A", "B", "B", "C", "C"]


@pytest.fixture
def fresh(world: World) -> World:
    """Six cases of three patients at two sites, without a split."""
    (world.preprocessed / "splits_final.json").unlink()
    lines = [f"case_{case},{PATIENTS[case]},{'near' if case % 2 else 'far'}" for case in range(6)]
    (world.raw / "cases.csv").write_text("\n".join(["id,patient,site", *lines]))
    return world


def split(capsys, *words: object) -> dict:
    code = main(["split", "7", *map(str, words), "--json"])
    out, error = capsys.readouterr()
    assert code == 0, error
    return dict(json.loads(out))


def refusal(capsys, *words: object) -> str:
    assert main(["split", "7", *map(str, words)]) == 2
    error: str = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def folds_of(world: World) -> list[dict]:
    return list(json.loads((world.preprocessed / "splits_final.json").read_text()))


def test_patients_stay_together_where_nnunet_reads_it(fresh: World, capsys) -> None:
    report = split(capsys, "--group", "patient", "--folds", 3, "--stratify", "labels", "site")
    folds = folds_of(fresh)
    assert [fold["val"] for fold in sorted(folds, key=lambda fold: fold["val"])] == [
        [f"case_{case}", f"case_{case + 1}"] for case in (0, 2, 4)
    ]
    assert all(sorted(fold["train"] + fold["val"]) == [f"case_{case}" for case in range(6)] for fold in folds)
    amounts = {amount["name"]: amount for amount in report["evenness"]["amounts"]}
    assert (amounts["cases"]["parts"], amounts["groups"]["parts"]) == ([2, 2, 2], [1, 1, 1])
    assert amounts["site: near"]["all"] == 3
    assert amounts["cases with tumor"]["parts"] == [2, 2, 2]
    voxels = sum((truth(case) == 1).sum() for case in range(6))
    assert amounts["kidney [ml]"]["all"] == pytest.approx(voxels * np.prod(SPACING) / 1000)
    assert report["evenness"]["warnings"] == []
    note = json.loads((fresh.preprocessed / "splits_note.json").read_text())
    assert (note["group"], note["seed"], len(note["cases_csv_sha256"])) == ("patient", 12345, 64)
    before = (fresh.preprocessed / "splits_final.json").read_bytes()
    again = split(capsys, "--group", "patient", "--folds", 3, "--stratify", "labels", "site")
    assert (again["state"], again["written"]) == ("unchanged", [])
    assert (fresh.preprocessed / "splits_final.json").read_bytes() == before


def test_a_dry_run_writes_nothing(fresh: World, capsys) -> None:
    before = sorted(fresh.root.rglob("*"))
    split(capsys, "--folds", 2, "--dry-run")
    assert sorted(fresh.root.rglob("*")) == before


def test_only_changed_labels_are_read_again(fresh: World, capsys) -> None:
    split(capsys, "--folds", 2)
    kept = fresh.preprocessed / "label_volumes.json"
    content = json.loads(kept.read_text())
    content["cases"]["case_0"]["volumes"]["2"] = 5e6
    kept.write_text(json.dumps(content))
    for changed in (False, True):
        if changed:
            write(fresh.raw / "labelsTr" / "case_0.nii.gz", np.ones((2, 2, 2), np.uint8))
        amounts = {a["name"]: a["all"] for a in split(capsys, "--folds", 2, "--dry-run")["evenness"]["amounts"]}
        assert (amounts["tumor [ml]"] > 5000) != changed
        assert amounts["cases with tumor"] == 6 - changed


def test_a_split_under_which_something_was_trained_stays(fresh: World, capsys) -> None:
    split(capsys, "--folds", 3, "--no-labels")
    fresh.train("nnUNetTrainer", folds=[1])
    error = refusal(capsys, "--folds", 2, "--no-labels", "--replace")
    assert "must keep its split, since nnUNetTrainer__nnUNetPlans__3d/fold_1 was trained under it" in error
    assert split(capsys, "--folds", 3, "--no-labels")["state"] == "unchanged"
    assert len(folds_of(fresh)) == 3


def test_another_split_is_replaced_only_if_asked_for_and_kept(fresh: World, capsys) -> None:
    split(capsys, "--folds", 3, "--no-labels")
    old = folds_of(fresh)
    assert "--replace writes the new one" in refusal(capsys, "--folds", 2, "--no-labels")
    split(capsys, "--folds", 2, "--no-labels", "--replace")
    assert len(folds_of(fresh)) == 2
    assert json.loads((fresh.preprocessed / "splits_final_replaced1.json").read_text()) == old


def test_a_test_part_is_read_by_our_other_commands(fresh: World, capsys) -> None:
    report = split(capsys, "--group", "patient", "--folds", 2, "--test", 0.3, "--no-labels")
    folders = Folders.of_environment()
    test = Part(folders, fresh.dataset, "test", "1").cases()
    assert report["test"] == len(test) == 2
    assert len({PATIENTS[int(case[-1])] for case in test}) == 1
    for fold in folds_of(fresh):
        assert not {*test} & {*fold["train"], *fold["val"]}
        assert len(fold["train"]) == len(fold["val"]) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [("v.txt", "case_0\ncase_1\n"), ("v.csv", "id,x\ncase_0,1\ncase_1,2\n"), ("v.json", '["case_0", "case_1"]')],
)
def test_a_validation_set_makes_one_fold(fresh: World, tmp_path: Path, capsys, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    split(capsys, "--group", "patient", "--validation-set", tmp_path / name, "--no-labels")
    (fold,) = folds_of(fresh)
    assert fold == {"train": [f"case_{case}" for case in range(2, 6)], "val": ["case_0", "case_1"]}


def test_groups_in_two_folds_of_a_present_split_are_found(world: World, capsys) -> None:
    words = ["split", "7", "--existing", "--no-labels"]
    assert main([*words, "--group-pattern", "_(.)"]) == 0
    capsys.readouterr()
    (world.raw / "cases.csv").write_text("\n".join(["id,patient", *(f"case_{n},{PATIENTS[n]}" for n in range(6))]))
    assert main([*words, "--group", "patient"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "WARNING: fold 0 trains and validates on cases of the same 2 groups, A, B" in shown


def test_a_terminal_table_says_how_even_it_is(fresh: World, capsys) -> None:
    assert main(["split", "7", "--folds", "2", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "Dry run:" in shown
    for word in ("Validation cases of each fold", "cases with kidney", "kidney [ml]", "max/min", "fold 1"):
        assert word in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--group", "patient", "--folds", "4"], "3 groups cannot be divided into 4 folds: A, B, C"),
        (["--group", "nurse"], "has the columns id, patient, site, and needs 'id' and 'nurse'"),
        (["--group", "patient", "--group-pattern", "."], "exclude each other"),
        (["--group-pattern", "("], "--group-pattern must be a regular expression, got '('"),
        (["--group-pattern", "^p"], "is not in the names of 6 cases"),
        (["--group-pattern", "(x)?"], "--group-pattern '(x)?' finds nothing in the names of 6 cases"),
        (["--folds", "9"], "6 cases cannot be divided into 9 folds"),
        (["--test", "1.5"], "--test must be a share"),
        (["--test", "0.001"], "a share of 0.001 of 6 cases leaves one of 2 parts (test and the rest) empty"),
        (["--stratify", "id"], "--stratify 'id' has 6 different values in 6 cases"),
        (["--folds", "2", "--validation-set", "x.txt"], "exclude each other"),
        (["--validation-set", "nowhere.txt"], "nowhere.txt is not there"),
        (["--existing", "--folds", "2"], "so --folds has no effect"),
        (["--existing"], "splits_final.json is not there"),
        (["--stratify", "labels", "--no-labels"], "needs the label maps"),
    ],
)
def test_wrong_requests_are_refused_and_nothing_is_written(fresh: World, capsys, words, message) -> None:
    before = sorted(fresh.root.rglob("*"))
    labels = [] if "labels" in words else ["--no-labels"]
    assert message in refusal(capsys, *words, *labels)
    assert sorted(fresh.root.rglob("*")) == before
