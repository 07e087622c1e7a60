"""``annotate interpolate`` and ``annotate quality``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.annotation.interpolation import interpolate
from nnunet_tricks.cli import main
from tests.annotation.world import array, build, labels_of

SPARSE, FILLED = "Dataset601_Toy_fixed0p2", "Dataset602_Toy_fixed0p2_sdf"
UPSIDE_DOWN = [[1, 0, 0], [0, 1, 0], [0, 0, -1]]


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    raw = build(tmp_path, monkeypatch, direction=UPSIDE_DOWN)
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 0
    return raw.parent


def test_sparse_cases_are_filled_along_the_patient_and_dense_ones_stay(raw: Path) -> None:
    assert main(["annotate", "interpolate", "601", "--to", "602"]) == 0
    (fold,) = json.loads((raw / FILLED / "splits_final.json").read_text())
    for case in fold["train"]:
        expected = interpolate(labels_of(int(case[4:]))[::-1], [2, 7, 12, 17], spacing=(0.9, 0.8))[::-1]
        np.testing.assert_array_equal(array(raw / FILLED / "labelsTr" / f"{case}.nii.gz"), expected)
    for case in fold["val"]:
        np.testing.assert_array_equal(array(raw / FILLED / "labelsTr" / f"{case}.nii.gz"), labels_of(int(case[4:])))
    before, after = (json.loads((raw / name / "dataset.json").read_text()) for name in (SPARSE, FILLED))
    assert before == after
    manifest = json.loads((raw / FILLED / "sparse_manifest.json").read_text())
    assert manifest["interpolation"] == {"method": "sdf"}
    assert {manifest["cases"][case]["annotation"] for case in fold["train"]} == {"interpolated"}
    plans = [
        json.loads((raw.parent / "preprocessed" / name / "nnUNetPlans.json").read_text()) for name in (SPARSE, FILLED)
    ]
    assert {**plans[0], "dataset_name": FILLED} == plans[1]
    assert array(raw / FILLED / "labelsTs" / "test.nii.gz").any()


def test_dense_and_filled_data_sets_are_not_filled(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotate", "interpolate", "501", "--to", "602"]) == 2
    assert "has no sparse_manifest.json" in capsys.readouterr().err
    assert main(["annotate", "interpolate", "601", "--to", "602", "--dry-run"]) == 0
    assert not (raw / FILLED).exists()
    assert main(["annotate", "interpolate", "601", "--to", "602"]) == 0
    assert main(["annotate", "interpolate", "602", "--to", "603"]) == 2
    assert "no case has sparse annotation" in capsys.readouterr().err


def test_quality_by_density_and_by_gap(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["annotate", "quality", str(raw / "Dataset501_Toy"), "--density", "0.1", "0.5"]
    assert main([*words, "-o", str(tmp_path / "rows.csv"), "--json"]) == 0
    summaries = {(entry["region"], entry["method"]): entry for entry in json.loads(capsys.readouterr().out)}
    assert {*summaries} == {(region, method) for region in ("foreground", "1", "2") for method in ("copy", "sdf")}
    for entry in summaries.values():
        assert [*entry["by_density"]] == ["0.1", "0.5"]
        assert [*entry["by_gap"]] == ["6-12 mm", "25-50 mm"]
        assert entry["by_density"]["0.5"] == entry["by_gap"]["6-12 mm"]
        assert entry["by_density"]["0.5"]["volumes"] == 10
        assert entry["by_density"]["0.5"]["iou"] > entry["by_density"]["0.5"]["iou_unannotated"]
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 * 2 * 2 * 3
    assert main(words) == 0
    assert "IoU by gap between annotated slices" in capsys.readouterr().out
    assert main([*words[:3], "--density", "0"]) == 2
    assert "density must be above 0" in capsys.readouterr().err


def test_quality_is_not_measured_on_sparse_labels(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotate", "quality", str(raw / SPARSE), "--density", "0.5"]) == 2
    assert "has voxels that nobody annotated ('ignore' is 3)" in capsys.readouterr().err
