"""Data sets merged into one with one list of labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

from nnunet_tricks.cli import main
from nnunet_tricks.comparison import images
from tests.comparison.world import SHAPE, World, truth, write


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[World, World]:
    """Kidneys with tumours, and livers with kidneys under other numbers."""
    kidneys = World(tmp_path, count=2)
    livers = World(tmp_path, dataset="Dataset008_Liver", labels={"background": 0, "liver": 1, "kidney": 2}, count=3)
    for name, value in kidneys.variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "results").mkdir()
    return kidneys, livers


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["merge", *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_one_list_of_labels_and_a_table(worlds, tmp_path: Path, capsys) -> None:
    assert main(["merge", "7", "8", "--to", "20", "--name", "Both"]) == 0
    assert "no case is annotated for both tumor and liver" in capsys.readouterr().out
    made = tmp_path / "raw" / "Dataset020_Both"
    description = json.loads((made / "dataset.json").read_text())
    assert description["labels"] == {"background": 0, "kidney": 1, "tumor": 2, "liver": 3}
    assert json.loads((made / "annotated.json").read_text()) == {
        **{f"007_case_{case}": ["kidney", "tumor"] for case in range(2)},
        **{f"008_case_{case}": ["liver", "kidney"] for case in range(3)},
    }
    new = np.array([0, 3, 1])
    for case in range(3):
        file = made / "labelsTr" / f"008_case_{case}.nii.gz"
        np.testing.assert_array_equal(images.read(file).values, new[truth(case)])
        old = sitk.ReadImage(str(worlds[1].raw / "labelsTr" / f"case_{case}.nii.gz"))
        written = sitk.ReadImage(str(file))
        assert (written.GetSpacing(), written.GetOrigin()) == (old.GetSpacing(), old.GetOrigin())
    assert (made / "labelsTr" / "007_case_0.nii.gz").is_symlink()
    rows = list(csv.DictReader((made / "cases.csv").open()))
    assert {row["dataset"] for row in rows} == {"Dataset007_Kidney", "Dataset008_Liver"}
    assert len(rows) == 5
    verify_dataset_integrity(str(made), num_processes=1)
    left = [file.name for file in (tmp_path / "raw").iterdir() if file.name.startswith(".")]
    assert not [name for name in left if "partial" in name]


def test_tables_ignore_labels_and_weights_travel(tmp_path: Path, monkeypatch) -> None:
    kidneys = World(tmp_path, count=2, labels={"background": 0, "kidney": 1, "tumor": 2, "ignore": 3})
    livers = World(tmp_path, dataset="Dataset008_Liver", labels={"background": 0, "kidney": 1, "tumor": 2, "liver": 3})
    for name, value in kidneys.variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "results").mkdir()
    kidneys.write_json(kidneys.raw / "annotated.json", {"case_1": ["kidney"]})
    labels = np.where(truth(1) == 2, 3, truth(1)).astype(np.uint8)  # its tumours are unknown, and ignored
    write(kidneys.raw / "labelsTr" / "case_1.nii.gz", labels)
    write(livers.raw / "weightsTr" / "case_0.nii.gz", np.ones(SHAPE, np.uint8))
    assert main(["merge", "7", "8", "--to", "20", "--name", "Both"]) == 0
    made = tmp_path / "raw" / "Dataset020_Both"
    assert json.loads((made / "dataset.json").read_text())["labels"]["ignore"] == 4
    table = json.loads((made / "annotated.json").read_text())
    assert table == {"007_case_0": ["kidney", "tumor"], "007_case_1": ["kidney"]}
    merged = images.read(made / "labelsTr" / "007_case_1.nii.gz").values
    np.testing.assert_array_equal(merged, np.where(labels == 3, 4, labels))
    assert [file.name for file in (made / "weightsTr").iterdir()] == ["008_case_0.nii.gz"]


def test_a_dry_run_writes_nothing(worlds, tmp_path: Path, capsys) -> None:
    before = sorted((tmp_path / "raw").rglob("*"))
    assert main(["merge", "7", "8", "--to", "20", "--dry-run", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["name"] == "Dataset020_Kidney_Liver"
    assert result["annotated"] == {"kidney": 5, "tumor": 2, "liver": 3}
    assert sorted((tmp_path / "raw").rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channel_names": {"0": "MRI"}}, "differ in channel_names"),
        ({"labels": {"background": 0, "Kidney": 1}}, "labels 'kidney' and 'Kidney'"),
        ({"labels": {"background": 0, "kidney": 1}}, "holds 2, which its dataset.json does not"),
        ({"labels": {"background": 0, "all": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}, "has regions"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(worlds, tmp_path, capsys, change: dict, words: str) -> None:
    livers = worlds[1]
    livers.write_json(livers.raw / "dataset.json", livers.description | change)
    assert words in refused(["7", "8", "--to", "20"], capsys)
    assert sorted(folder.name for folder in (tmp_path / "raw").glob("*Dataset*") if folder.is_dir()) == [
        "Dataset007_Kidney",
        "Dataset008_Liver",
    ]


def test_numbers_must_be_different_and_free(worlds, capsys) -> None:
    assert "at least two different" in refused(["7", "--to", "20"], capsys)
    assert "at least two different" in refused(["7", "7", "--to", "20"], capsys)
    assert "number 8 is taken" in refused(["7", "8", "--to", "8"], capsys)
    assert "'9' is neither" in refused(["7", "9", "--to", "20"], capsys)


def test_a_table_that_its_label_maps_contradict_is_refused(worlds, tmp_path: Path, capsys) -> None:
    (worlds[1].raw / "annotated.json").write_text(json.dumps({"case_1": ["liver"]}))
    error = refused(["7", "8", "--to", "20"], capsys)
    assert "case_1" in error
    assert "annotated.json does not list their class for this case" in error
    assert not list((tmp_path / "raw").glob("Dataset020*"))


def test_columns_that_are_left_behind_are_named(worlds, capsys) -> None:
    (worlds[0].raw / "cases.csv").write_text("id,patient\ncase_0,a\ncase_1,b\n")
    assert main(["merge", "7", "8", "--to", "20", "--name", "Both"]) == 0
    assert "columns of cases.csv of Dataset007_Kidney are not taken over" in " ".join(capsys.readouterr().out.split())
