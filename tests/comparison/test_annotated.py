"""Measured cases of which some are not annotated for a class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from tests.comparison.world import World, predicted, truth, write

ONE_WORKER = ["--workers", "1"]


def partly(folder: Path, case: str, labels: np.ndarray) -> None:
    """A label map without tumours, as a case that is annotated for kidneys only has it."""
    write(folder / f"{case}.nii.gz", np.where(labels == 2, 0, labels).astype(np.uint8))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and labels of three cases; the last is annotated for kidneys only."""
    world = World(tmp_path / "world", count=3)
    for case in range(3):
        write(tmp_path / "predictions" / f"case_{case}.nii.gz", predicted(case, 2))
    partly(world.raw / "labelsTr", "case_2", truth(2))
    (world.raw / "annotated.json").write_text(json.dumps({"case_2": ["kidney"]}))
    return tmp_path / "predictions", world.raw / "labelsTr"


def measured(words: list, capsys) -> tuple[dict[tuple[str, str, str], float], str]:
    assert main(["evaluate", *map(str, words), *ONE_WORKER, "--json"]) == 0
    captured = capsys.readouterr()
    return {(row["case"], row["label"], row["metric"]): row["value"] for row in json.loads(captured.out)}, captured.err


def test_evaluate_leaves_out_what_a_case_is_not_annotated_for(folders, capsys) -> None:
    values, notes = measured([*folders, "--metrics", "Dice"], capsys)
    assert values["case_2", "tumor", "Dice"] is None
    assert values["case_2", "tumor", "FP"] is None
    assert values["case_2", "kidney", "Dice"] is not None
    assert values["case_1", "tumor", "Dice"] is not None
    assert "annotated.json: of 3 cases are not annotated: tumor in 1" in notes


def test_what_is_stored_serves_with_and_without_a_table(folders, capsys) -> None:
    with_table, _ = measured([*folders, "--metrics", "Dice"], capsys)
    (folders[1].parent / "annotated.json").unlink()
    without, notes = measured([*folders, "--metrics", "Dice"], capsys)
    assert without["case_2", "tumor", "Dice"] == 0  # a false alarm, if the label map were complete
    assert without["case_2", "kidney", "Dice"] == with_table["case_2", "kidney", "Dice"]
    assert "annotated" not in notes


def test_unions_count_only_where_all_of_them_is_annotated(folders, capsys) -> None:
    values, _ = measured([*folders, "--metrics", "Dice", "--regions", "both=kidney+tumor", "kidney=1"], capsys)
    assert values["case_2", "both", "Dice"] is None
    assert values["case_2", "kidney", "Dice"] is not None


def test_summary_has_no_number_there(folders, capsys, tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    assert main(["evaluate", *map(str, folders), *ONE_WORKER, "--summary", str(file)]) == 0
    summary = json.loads(file.read_text())
    whole = [entry["metrics"]["2"]["Dice"] for entry in summary["metric_per_case"]]
    assert np.isnan(whole[2])
    assert summary["mean"]["2"]["Dice"] == pytest.approx(np.mean(whole[:2]))


def test_a_wrong_table_is_refused(folders, capsys) -> None:
    (folders[1].parent / "annotated.json").write_text('{"case_9": ["kidney"]}')
    assert main(["evaluate", *map(str, folders), *ONE_WORKER]) == 2
    assert "names case_9" in capsys.readouterr().err


def test_compare_knows_the_table(tmp_path: Path, monkeypatch, capsys) -> None:
    world = World(tmp_path)
    for folder in (world.raw / "labelsTr", world.preprocessed / "gt_segmentations"):
        partly(folder, world.case(0), truth(0))
    world.write_json(world.raw / "annotated.json", {world.case(0): ["kidney"]})
    models = [world.train("nnUNetTrainer", skill=1), world.train("nnUNetTrainerTversky", skill=2)]
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    assert main(["compare", *map(str, models), *ONE_WORKER, "--metrics", "Dice", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    for method in table["methods"]:
        assert method["scores"]["tumor"]["Dice"]["counted"] == world.count - 1
        assert method["scores"]["kidney"]["Dice"]["counted"] == world.count
    assert any("annotated.json: of 6 cases are not annotated: tumor in 1" in note for note in table["notes"])
