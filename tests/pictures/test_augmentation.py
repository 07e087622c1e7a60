import json
import shutil
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.pictures.augmentation.draws import preview

COUNTING = ("NoDA_ClassBalancedSampling", "Boundary_Oversample_size", "SparseSlices_density0p5")


@pytest.fixture
def volumes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plans file of preprocessed volumes with regions and an ignore label."""
    data = bench.data("regions+ignore", flat=False)
    monkeypatch.setenv("nnUNet_preprocessed", str(data.preprocessed.parent))
    return data.preprocessed / "nnUNetPlans.json"


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_picture_and_what_is_in_it(volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(volumes.parent)
    out = tmp_path / "new" / "drawn.png"
    words = ["preview-augmentation", volumes.parent.name, "-tr", "nnUNetTrainerGTAugB", "-c", "3d_fullres"]
    assert main([*words, "--draws", "5", "-o", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["read"], printed["patch"], printed["draws"]) == ([6, 29, 29], [6, 24, 24], 5)
    assert printed["mirrored_at_inference"] == [0, 1, 2]
    assert imread(out).std() > 0.05
    assert everything(volumes.parent) == before
    assert list(out.parent.iterdir()) == [out]
    drawn = out.read_bytes()
    assert main([*words, "-o", str(out)]) == 2
    assert "already exists: name another picture with -o, or give --overwrite" in capsys.readouterr().err
    assert out.read_bytes() == drawn
    assert main([*words, "-o", str(out), "--overwrite", "--draws", "1"]) == 0
    assert out.read_bytes() != drawn


def test_the_configuration_is_that_of_plan_and_mixing_is_not_shown(
    volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of the tiny plans is 3d_lowres."""
    words = ["preview-augmentation", volumes.parent.name, "-tr", "nnUNetTrainerMixUp", "--draws", "1"]
    assert main([*words, "-o", str(tmp_path / "mixed.png"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["configuration"], printed["patch"], printed["not_shown"]) == ("3d_fullres", [6, 24, 24], "MixUp")
    assert main([*words, "-c", "3d_lowres", "-o", str(tmp_path / "other.png")]) == 0
    assert "MixUp is not in the picture" in capsys.readouterr().out


def test_without_a_split_all_cases_are_drawn_from_and_no_split_is_written(volumes: Path, tmp_path: Path) -> None:
    folder = tmp_path / volumes.parent.name
    shutil.copytree(volumes.parent, folder, ignore=shutil.ignore_patterns("splits_final.json"))
    cases = {path.name.split(".")[0] for path in folder.glob("*/*.pkl")}
    before = everything(folder)
    plans = folder / volumes.name
    drawn_cases = {preview(plans, "nnUNetTrainerFlip", "3d_fullres", 0, draws=1, seed=seed).case for seed in range(15)}
    preview(plans, "nnUNetTrainer", "3d_fullres", 4, draws=1, seed=0)
    assert drawn_cases == cases
    assert everything(folder) == before
    with pytest.raises(ValueError, match="fold 5 is not in the split"):
        preview(plans, "nnUNetTrainerFlip", "3d_fullres", 5, draws=1, seed=0)


@pytest.mark.parametrize("tricks", COUNTING)
def test_tricks_that_count_or_look_through_cases_leave_nothing(volumes: Path, tmp_path: Path, tricks: str) -> None:
    folder = tmp_path / volumes.parent.name
    shutil.copytree(volumes.parent, folder)
    before = everything(folder)
    preview(folder / volumes.name, f"nnUNetTrainer{tricks}", "3d_fullres", 0, draws=1, seed=0)
    assert everything(folder) == before


def test_without_augmentation_every_draw_is_what_was_read(volumes: Path) -> None:
    shown = preview(volumes, "nnUNetTrainerNoDA", "3d_fullres", 0, draws=3, seed=1)
    assert shown.axes == ()
    for draw in shown.draws:
        assert torch.equal(draw.image, shown.read.image)
        assert torch.equal(draw.masks, shown.read.masks)
    assert shown.read.masks.shape[0] == 2
    assert shown.read.masks[0].any()


def test_draws_come_from_the_seed(volumes: Path) -> None:
    first, again, other = (
        preview(volumes, "nnUNetTrainerGTAugB", "3d_fullres", 0, draws=2, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first.draws[1].image, again.draws[1].image)
    assert not torch.equal(first.draws[1].image, other.draws[1].image)
    assert not torch.equal(first.draws[0].image, first.draws[1].image)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-c", "3d_cascade_fullres"], "second stage of a cascade"),
        (["-c", "3d_highres"], "3d_highres"),
        (["-tr", "nnUNetTrainerGTAugC"], "GTAugC"),
        (["--draws", "0"], "--draws must be from 1 to 64, got 0"),
        (["-f", "first"], "-f must be a number or 'all'"),
        (["-f", "7", "-tr", "nnUNetTrainerFlip"], "fold 7 is not in the split"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    out = tmp_path / "drawn.png"
    default = [] if "-c" in words else ["-c", "3d_fullres"]
    assert main(["preview-augmentation", volumes.parent.name, *default, *words, "-o", str(out)]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()
