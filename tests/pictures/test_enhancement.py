"""``nnunet-tricks show-ife`` on models of the tiny data sets."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from PIL import Image

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from nnunet_tricks.pictures.enhancement.counts import frequencies
from nnunet_tricks.pictures.enhancement.images import cases
from nnunet_tricks.pictures.enhancement.model import EnhancedModel, Look, StageSelection
from nnunet_tricks.pictures.trained import middle
from nnunet_tricks.tricks.network.enhancement.selection import most_instructive


def trained(bench: Bench, trick: str, dimension: str, folder: Path) -> tuple[Path, Path]:
    """A model folder, and the training images."""
    found = trainers.find(f"nnUNetTrainer{trick}")
    assert found is not None
    with bench.room(found, Situation("labels", dimension, True)) as run:
        STEPS["epochs"](run)
        shutil.copytree(run.model_folder(), folder / run.model_folder().name)
        return folder / run.model_folder().name, run.data.raw / "imagesTr"


@pytest.mark.parametrize(
    ("trick", "dimension"), [("IFECurvature", "3d"), ("IFEEntropy_r0p75x0p5", "2d"), ("IFERandom", "2d")]
)
def test_a_picture_and_counts_over_a_folder(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], trick: str, dimension: str
) -> None:
    out = tmp_path / "new" / "picture.png"
    model, images = trained(bench, trick, dimension, tmp_path)
    assert main(["show-ife", str(model), str(images), "-o", str(out), "--json"]) == 0
    count = len(list(images.glob("*_0000*")))
    said = json.loads(capsys.readouterr().out)
    assert main(["show-ife", str(model), str(images), "-o", str(out)]) == 0
    words = capsys.readouterr().out
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.width > 500
    assert said["trainer"] == f"nnUNetTrainer{trick}"
    assert said["images"] == count
    assert [stage["skip_connection"] for stage in said["stages"]] == [1, 2]
    for stage, channels in zip(said["stages"], (6, 8), strict=True):
        scores = torch.tensor([stage["scores"]])
        assert scores.shape == (1, channels)
        assert stage["chosen"] == most_instructive(scores, 4)[0].tolist()
        assert sum(stage["times_chosen"]) == 4 * said["images"]
        if trick == "IFERandom":
            assert set(stage["times_chosen"]) == {0, said["images"]}
    assert "skip connection 1: 4 of 6 channels; scores from" in words
    assert f"over {said['images']} images" in words


def test_one_image_of_a_folder_and_what_is_refused(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "picture.png"
    model, images = trained(bench, "IFECurvature", "3d", tmp_path)
    image = min(images.iterdir())
    assert main(["show-ife", str(model), str(image), "-o", str(out)]) == 0
    assert "images" not in capsys.readouterr().out
    wrong = [
        (image.with_name("nothing.nii.gz"), "IMAGE must be a file"),
        (tmp_path, "has no image called CASE_0000"),
    ]
    for path, named in wrong:
        assert main(["show-ife", str(model), str(path), "-o", str(out)]) == 2
        assert named in capsys.readouterr().err
    file = next(model.glob("fold_*")) / "checkpoint_final.pth"
    torch.save(torch.load(file, weights_only=False) | {"args": Namespace(lr=0.01)}, file)
    assert main(["show-ife", str(model), str(image), "-o", str(out)]) == 2
    assert "say --trust" in capsys.readouterr().err
    assert main(["show-ife", str(model), str(image), "-o", str(out), "--trust"]) == 0
    assert main(["show-ife", str(images), str(image)]) == 2
    assert "is no model folder of nnU-Net" in capsys.readouterr().err


@pytest.mark.parametrize("trick", ["_5epochs", "IFECurvature_r0x0"])
def test_a_model_that_shows_nothing_twice(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], trick: str
) -> None:
    model, images = trained(bench, trick, "2d", tmp_path)
    assert main(["show-ife", str(model), str(images), "-o", str(tmp_path / "picture.png")]) == 2
    assert "which shows no channel twice: give a model of IFECurvature" in capsys.readouterr().err


def test_the_second_stage_of_a_cascade_is_refused(bench: Bench) -> None:
    found = trainers.find("nnUNetTrainerIFECurvature")
    assert found is not None
    with bench.room(found, Situation("labels", "cascade", True)) as run:
        STEPS["first stage"](run)
        STEPS["epochs"](run)
        with pytest.raises(ValueError, match=r"second stage of a cascade.* give the model of 3d_lowres"):
            EnhancedModel(run.model_folder())


def test_channels_of_a_case_belong_together(tmp_path: Path) -> None:
    for name in ("a_0000.png", "a_0001.png", "a_b_0000.png", "[x]_0000.png", "alone.png", "a_0000.nii.gz"):
        (tmp_path / name).touch()
    found = cases(tmp_path, ".png")
    assert {case: [Path(file).name for file in files] for case, files in found.items()} == {
        "a": ["a_0000.png", "a_0001.png"],
        "a_b": ["a_b_0000.png"],
        "[x]": ["[x]_0000.png"],
    }
    assert list(cases(tmp_path / "alone.png", ".png")) == ["alone"]


def test_the_middle_is_cut_or_padded() -> None:
    image = torch.arange(5.0 * 4 * 4).view(1, 5, 4, 4)
    assert torch.equal(middle(image, [3, 2, 4]), image[:, 1:4, 1:3])
    assert torch.equal(middle(image, [4, 4]), image[:, 2])
    assert middle(image, [7, 4, 4]).shape == (1, 7, 4, 4)


def test_choices_are_counted() -> None:
    def look(*chosen: int) -> Look:
        return Look(
            "case", torch.zeros(1, 2, 2), [StageSelection(3, torch.zeros(4, 2, 2), torch.zeros(4), list(chosen))]
        )

    (counted,) = frequencies([look(0, 1), look(1, 2), look(1, 0)])
    assert (counted.stage, counted.count, counted.images) == (3, 2, 3)
    assert counted.times == (2, 3, 1, 0)
    assert (counted.always, counted.never) == (1, 1)
