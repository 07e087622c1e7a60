"""``annotate select``: what it writes, and how it treats data without such slices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from nnunet_tricks.cli import main


def write(file: Path, shape: tuple[int, ...], spacing: tuple[float, ...] | None = None, components: int = 1) -> None:
    array = np.random.default_rng(len(file.name)).integers(0, 200, (*shape, components)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(array if components > 1 else array[..., 0], isVector=components > 1)
    image.SetSpacing(spacing or (1.0,) * len(shape))
    SimpleITK.WriteImage(image, str(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    for number, slices in enumerate((20, 31, 44)):
        for channel in range(2):
            write(place / f"scan{number}_{channel:04d}.nii.gz", (slices, 6, 5), (0.7, 0.7, 3.0))
    return place


def select(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    capsys.readouterr()
    assert main(["annotate", "select", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_budget_and_gaps(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = select(capsys, folder, "--density", 0.1, "--dry-run", "-o", tmp_path / "plan")
    assert {case: entry["chosen"] for case, entry in plan["cases"].items()} == {
        "scan0": [5, 15],
        "scan1": [5, 15, 25],
        "scan2": [5, 16, 27, 38],
    }
    assert plan["budget"]["slices"] == 9
    assert plan["budget"]["of_slices"] == 95
    assert plan["budget"]["density"] == pytest.approx(9 / 95)
    assert plan["cases"]["scan2"]["largest_distance_mm"] == pytest.approx(5 * 3)
    assert plan["cases"]["scan0"]["largest_distance_mm"] == pytest.approx(5 * 3)
    assert not list(tmp_path.glob("plan*"))


@pytest.mark.parametrize("policy", ["random", "ual"])
def test_plans_are_nested_in_density_and_volumes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str
) -> None:
    words = (folder, "--policy", policy, "--dry-run", "--seed", 4)
    small = select(capsys, *words, "--density", 0.1, "--volumes", 0.5)["cases"]
    large = select(capsys, *words, "--density", 0.3)["cases"]
    assert len(small) == 2
    assert len(large) == 3
    assert all(set(entry["chosen"]) < set(large[case]["chosen"]) for case, entry in small.items())
    largest = select(capsys, *words, "--density", 0.5)["cases"]
    assert all(set(entry["chosen"]) < set(largest[case]["chosen"]) for case, entry in large.items())


def test_a_plan_is_written_once_and_never_replaced_by_another(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["annotate", "select", str(folder), "-o", str(tmp_path / "new" / "plan.v1"), "--density"]
    assert main([*words, "0.1"]) == 0
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["plan.v1.csv", "plan.v1.json"]
    assert main([*words, "0.1"]) == 0
    before = (tmp_path / "new" / "plan.v1.json").read_text()
    assert main([*words, "0.2"]) == 2
    assert "somebody may annotate by it" in capsys.readouterr().err
    assert (tmp_path / "new" / "plan.v1.json").read_text() == before


def test_one_slice_volumes_and_tiny_densities_get_one_slice_and_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.nii.gz", (1, 6, 5))
    write(tmp_path / "b.mha", (12, 6, 5))
    assert main(["annotate", "select", str(tmp_path), "--density", "0.01", "--dry-run", "--json"]) == 0
    captured = capsys.readouterr()
    assert [entry["chosen"] for entry in json.loads(captured.out)["cases"].values()] == [[0], [6]]
    assert "have only one slice" in captured.err
    assert "less than half a slice of 2 volume(s)" in captured.err


@pytest.mark.parametrize(
    ("file", "shape", "components", "reason"),
    [
        ("flat.mha", (6, 5), 1, "a volume must have 3 axes, got 2: 2D images have no slices"),
        ("film.nii.gz", (3, 4, 6, 5), 1, "a volume must have 3 axes, got 4"),
        ("colour.mha", (4, 6, 5), 3, "has 3 values per voxel"),
    ],
)
def test_what_has_no_slices_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    shape: tuple[int, ...],
    components: int,
    reason: str,
) -> None:
    write(tmp_path / file, shape, components=components)
    assert main(["annotate", "select", str(tmp_path), "--density", "0.1"]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert file in error


def test_folders_without_volumes_and_broken_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotate", "select", str(tmp_path), "--density", "0.1"]) == 2
    assert "has no volumes: files must end in .nii.gz" in capsys.readouterr().err
    (tmp_path / "a.nii.gz").write_bytes(b"nothing of the kind")
    assert main(["annotate", "select", str(tmp_path), "--density", "0.1"]) == 2
    assert "a.nii.gz cannot be read as a volume" in capsys.readouterr().err
    write(tmp_path / "a.mha", (4, 4, 4))
    assert main(["annotate", "select", str(tmp_path), "--density", "0.1"]) == 2
    assert "two files of one case" in capsys.readouterr().err
