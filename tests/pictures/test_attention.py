"""``nnunet-tricks show-attention`` on models of the tiny data sets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from nnunet_tricks.pictures.attention.model import AttentionLook
from nnunet_tricks.pictures.attention.picture import caption, draw, slice_of
from nnunet_tricks.tricks.network.blocks.viewing import AttentionView, Viewable, views_of


class HalfGate(nn.Module):
    """A gate that lets through half of what it sees."""

    view_name = "half"

    def view(self, features: Tensor) -> Tensor:
        return torch.full_like(features[:, 0], 0.5)

    def forward(self, features: Tensor) -> Tensor:
        return features * self.view(features).unsqueeze(1)


class ChannelWeights(nn.Module):
    """Weights of channels."""

    view_name = "weights"

    def view(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3))

    def forward(self, features: Tensor) -> Tensor:
        return features * self.view(features)[..., None, None]


def test_views_are_what_modules_make_of_the_image_in_their_order() -> None:
    gate, weights = HalfGate(), ChannelWeights()
    network = nn.Sequential(nn.Identity(), weights, gate, gate)
    image = torch.rand(3, 8, 6)
    views = views_of(network.train(), image)
    assert [view.name for view in views] == ["weights", "half", "half"]
    assert [view.is_map for view in views] == [False, True, True]
    torch.testing.assert_close(views[0].values, image.mean(dim=(1, 2)))
    assert views[1].values.shape == (8, 6)
    assert isinstance(gate, Viewable)
    assert not isinstance(network, Viewable)
    # Nothing stays behind in the modules.
    assert not gate._forward_pre_hooks
    assert views_of(nn.Identity(), image) == []


def test_a_picture_of_maps_and_weights(tmp_path: Path) -> None:
    views = [AttentionView("a map", torch.rand(4, 4)), *[AttentionView("other", torch.rand(2, 3)) for _ in range(5)]]
    look = AttentionLook("case", torch.rand(16, 16), [*views, AttentionView("channels", torch.rand(12))])
    draw(look, "title", tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 500
        assert picture.height > 500


def test_the_caption_says_which_slice_is_shown_and_what_colours_mean() -> None:
    volume, picture = (AttentionLook("case", torch.rand(size), []) for size in ((6, 8, 9), (8, 9)))
    assert caption(volume, False) == "middle of the image, 6x8x9 voxels; slice 4 of 6"
    assert slice_of(volume.image).tolist() == volume.image[3].tolist()
    assert caption(picture, True).startswith("middle of the image, 8x9 pixels; each map with colours of its own")


def trained(bench: Bench, name: str, dimension: str, folder: Path) -> tuple[Path, Path]:
    """A model folder, and the training images."""
    found = trainers.find(f"nnUNetTrainer{name}")
    assert found is not None
    with bench.room(found, Situation("labels", dimension, True)) as run:
        STEPS["epochs"](run)
        shutil.copytree(run.model_folder(), folder / run.model_folder().name)
        return folder / run.model_folder().name, run.data.raw / "imagesTr"


def test_a_trained_model(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, images = trained(bench, "ShapeStream", "3d", tmp_path)
    image, out = min(images.iterdir()), tmp_path / "new" / "picture.png"
    assert main(["show-attention", str(model), str(image), "-o", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["trainer"] == "nnUNetTrainerShapeStream"
    assert said["views"][0]["name"] == "edges (shape stream)"
    assert all(view["kind"] == "map" and view["shape"] == [6, 24, 24] for view in said["views"])
    assert all(0 <= view["least"] <= view["mean"] <= view["most"] <= 1 for view in said["views"])
    assert main(["show-attention", str(model), str(image), "-o", str(out)]) == 0
    words = capsys.readouterr().out
    assert "edges (shape stream): map of 6x24x24, from 0." in words
    with Image.open(out) as picture:
        assert picture.format == "PNG"
    assert main(["show-attention", str(model), str(images)]) == 2
    assert "IMAGE must be one file" in capsys.readouterr().err


def test_weights_of_channels_and_gates_of_a_trained_model(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, images = trained(bench, "AttentionGates_SqueezeExcitation", "2d", tmp_path)
    image, out = min(images.iterdir()), tmp_path / "picture.png"
    assert main(["show-attention", str(model), str(image), "-o", str(out), "--json"]) == 0
    views = json.loads(capsys.readouterr().out)["views"]
    gates = [view for view in views if view["name"].startswith("attention gate of skip connection")]
    channels = [view for view in views if view["kind"] == "weights"]
    assert gates
    assert all(view["kind"] == "map" for view in gates)
    # Four stages of the encoder and three of the decoder.
    assert [len(view["weights"]) for view in channels] == [4, 6, 8, 8, 8, 6, 4]
    assert all(0 <= weight <= 1 for view in channels for weight in view["weights"])


def test_a_model_without_attention_is_refused(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, images = trained(bench, "BN_run2", "2d", tmp_path)
    image = min(images.iterdir())
    assert main(["show-attention", str(model), str(image), "-o", str(tmp_path / "x.png")]) == 2
    assert "has no attention to look at: give a model with gates" in capsys.readouterr().err
