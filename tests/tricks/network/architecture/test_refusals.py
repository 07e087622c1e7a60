"""What is refused before a folder is made, for every network alike."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import CONFIGURATIONS
from nnunet_tricks.nnunet.training_call import TrainingCall
from nnunet_tricks.training import network_sizes, preconditions
from nnunet_tricks.training.planned import Planned
from tests.tricks.network.architecture.networks import built, trainer_of


def refused(bench: Bench, name: str, dimension: str, *, patch: list[int] | None = None) -> str:
    """The reason, once it is certain that nothing was written."""
    trainer = trainer_of(name)
    with bench.room(trainer, Situation("labels", dimension, True)) as run:
        plans = {**run.data.plans, "continue_training": False}
        configuration = CONFIGURATIONS[dimension]
        if patch:
            part = {**plans["configurations"][configuration], "patch_size": patch}
            plans["configurations"] = {**plans["configurations"], configuration: part}
        with pytest.raises(ValueError) as error:  # noqa: PT011, its words are what the tests are about
            trainer(plans, configuration, 0, run.data.dataset_json)
        assert not (run.folder / "results").exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "dimension", "reason"),
    [
        ("ResNet50UNet", "3d", "ResNet50UNet is a network for 2D images, and the configuration has patches of 6x24x24"),
        ("SegResNet", "2d", "SegResNet is a network for 3D images, and the configuration has patches of 32x32"),
        ("DiceFocal_SegResNet_30epochs", "2d", "SegResNet is a network for 3D images"),
    ],
)
def test_images_with_another_number_of_axes(bench: Bench, name: str, dimension: str, reason: str) -> None:
    assert reason in refused(bench, name, dimension)


def test_a_patch_below_the_minimum(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "is_small", lambda: False)
    reason = refused(bench, "EfficientNetLite0UNet", "2d", patch=[24, 28])
    assert reason.startswith("EfficientNetLite0UNet needs patches of at least 32 voxels along one axis")
    assert "24x28" in reason


def test_a_missing_package_is_one_line_that_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "find_spec", lambda package: None)
    line = "SegResNet needs monai, not installed here: pip install 'nnunet_tricks[networks]'"
    assert refused(bench, "SegResNet", "3d") == line
    with pytest.raises(ValueError, match="SegResNet needs monai"):  # prediction builds networks too
        built("SegResNet", dimensions=3, channels=1)


def test_positions_of_another_patch_size(bench: Bench, tmp_path: Path) -> None:
    """A checkpoint of nnU-Net says its patch size; this one is padded to 16 x 32 x 32 inside the network."""
    unetr = trainer_of("UNETR")
    with bench.room(unetr, Situation("labels", "3d", False)) as run:
        trainer = run.build()
        file = tmp_path / "checkpoint_final.pth"
        trainer.save_checkpoint(str(file))
        for patch, fits in (([6, 24, 24], True), ([12, 20, 32], True), ([16, 32, 48], False)):
            plans = deepcopy(run.data.plans)
            plans["configurations"]["3d_fullres"]["patch_size"] = patch
            planned = Planned.of(plans, "3d_fullres", run.data.dataset_json, TrainingCall(file))
            if fits:
                unetr.check_fresh(planned)
                continue
            with pytest.raises(ValueError, match=r"was trained with patches of 6x24x24, and .* has 16x32x48: UNETR"):
                unetr.check_fresh(planned)


def test_only_the_harness_builds_small_networks(bench: Bench) -> None:
    assert not network_sizes.is_small()
    with bench.room(trainer_of("SegResNet"), Situation("labels", "3d", False)):
        assert network_sizes.is_small()
    assert not network_sizes.is_small()
