"""Pictures of tricks show what the tricks do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnunet_tricks.catalogue import EVERYTHING
from website.pages.tricks import map_of, picture_of
from website.pictures import cached
from website.pictures.gallery import picture
from website.pictures.laboratory import Laboratory, laboratory
from website.pictures.losses import push_of
from website.pictures.patches import fallen_patches
from website.pictures.scene import make_scene

NAMED = {info.name: info for info in EVERYTHING}

FALSE_ALARM, MISSED, GAP = (18, 18), (60, 108), (22, 103)
"""Places in the scene, (y, x)."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory() as made:
        yield made


def test_the_scene_has_the_errors_that_it_names() -> None:
    scene = make_scene()
    assert scene.predicted[FALSE_ALARM]
    assert not scene.truth[FALSE_ALARM]
    assert scene.truth[MISSED]
    assert not scene.predicted[MISSED]
    assert scene.predicted[GAP]
    assert not scene.truth[GAP]


def test_maps_show_which_way_and_how_strongly_a_loss_pushes(lab: Laboratory) -> None:
    cross_entropy, dice = (push_of(lab, f"nnUNetTrainer{name}").push for name in ("CE", "Dice"))
    for push in (cross_entropy, dice):
        assert push[FALSE_ALARM] < 0 < push[MISSED]
    # Dice hardly pushes where the network is sure and wrong.
    strengths = [float(push[MISSED] / np.abs(push).max()) for push in (cross_entropy, dice)]
    assert strengths[0] > 0.9
    assert strengths[1] < 0.1


def test_the_map_of_cross_entropy_is_its_gradient(lab: Laboratory) -> None:
    scene = make_scene()
    probability = 1 / (1 + np.exp(-scene.logits))
    expected = (scene.truth - probability) / scene.truth.size
    np.testing.assert_allclose(push_of(lab, "nnUNetTrainerCE").push, expected, atol=1e-9, rtol=1e-4)


def test_more_patches_with_the_rare_class_are_seen(lab: Laboratory) -> None:
    stock, balanced = (fallen_patches(lab.parts, f"nnUNetTrainer{name}").rare for name in ("", "ClassBalancedSampling"))
    assert balanced > 1.1 * stock


@pytest.mark.parametrize(
    "name",
    ["TverskyCE", "UniformDeepSupervision", "GTAugB", "MixUp", "SparseSlices", "PlateauLR", "TTA", "RemoveSmall"],
)
def test_each_kind_is_drawn(lab: Laboratory, name: str) -> None:
    image = Image.open(BytesIO(picture(lab, NAMED[name])))
    assert image.width > 500
    assert len(np.unique(np.asarray(image))) > 10


def test_a_trick_without_a_picture_is_told_and_the_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = replace(NAMED["FillHoles"], name="Odd", hooks=("unheard of",))
    monkeypatch.setattr(cached, "EVERYTHING", (NAMED["FillHoles"], odd))
    monkeypatch.setattr(cached, "losses", lambda: [])
    drawn = cached.draw_all(tmp_path)
    assert set(drawn.files) == {picture_of(NAMED["FillHoles"]), map_of("nnU-Net")}
    assert list(drawn.failures) == [picture_of(odd)]
    assert "no picture is known for Odd" in drawn.failures[picture_of(odd)]


def test_pictures_are_kept_until_code_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "_draw", lambda: cached.DrawnPictures({"tricks/pictures/X.png": b"first"}))
    assert cached.draw_all(tmp_path).files == {"tricks/pictures/X.png": b"first"}
    monkeypatch.setattr(cached, "_draw", lambda: cached.DrawnPictures({"tricks/pictures/X.png": b"second"}))
    assert cached.draw_all(tmp_path).files == {"tricks/pictures/X.png": b"first"}
    monkeypatch.setattr(cached, "_state_of_code", lambda: "changed")
    assert cached.draw_all(tmp_path).files == {"tricks/pictures/X.png": b"second"}
