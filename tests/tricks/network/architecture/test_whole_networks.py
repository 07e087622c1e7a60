"""Networks of libraries: what only one of them promises or refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.training.network_sizes import VARIABLE
from tests.tricks.network.architecture.networks import built, trainer_of
from tests.tricks.network.architecture.test_refusals import refused


def enhanced_deeplab(name: str) -> Any:
    return built(name, device="meta").body.decoder


@pytest.mark.parametrize(
    ("name", "low", "pyramid"),
    [
        ("DeepLabV3Plus", 48, 256),
        ("DeepLabV3Plus_IFECurvature", 48 + 36, 256 + 128),
        ("DeepLabV3Plus_IFECurvature_r0p75x0", 48 + 36, 256),
        ("DeepLabV3Plus_IFECurvature_r0p75x0p75", 48 + 36, 256 + 192),
        ("DeepLabV3Plus_IFEEntropy_r0p5_unique", 48 + 24, 256),
        ("DeepLabV3Plus_IFERandom_r0x1", 48, 512),
    ],
)
def test_ife_widens_deeplab_where_the_paper_does(name: str, low: int, pyramid: int) -> None:
    depthwise, pointwise, *_ = enhanced_deeplab(name).block2[0]
    assert depthwise.in_channels == depthwise.groups == low + pyramid
    assert (pointwise.in_channels, pointwise.out_channels) == (low + pyramid, 256)


def test_ife_leaves_all_other_shapes_of_deeplab() -> None:
    plain, enhanced = (
        {key: tuple(weight.shape) for key, weight in built(name, device="meta").named_parameters()}
        for name in ("DeepLabV3Plus", "DeepLabV3Plus_IFECurvature")
    )
    other = {key for key in plain if plain[key] != enhanced.get(key)}
    assert other == {"body.decoder.block2.0.0.weight", "body.decoder.block2.0.1.weight"}
    assert plain.keys() == enhanced.keys()


@pytest.mark.usefixtures("small")
def test_chosen_channels_stand_first() -> None:
    decoder = built("DeepLabV3Plus_IFECurvature").body.decoder
    enhancement = decoder.block1[-1]
    features = torch.rand(2, 48, 8, 8)
    output = enhancement(features)
    assert torch.equal(output[:, 36:], features)
    assert torch.equal(output[0, :36], features[0, enhancement.choose(features)[0]])


def test_ife_in_the_middle_of_a_resnet_is_as_wide_as_the_papers_decoder() -> None:
    network = built("IFECurvature_ResNet50UNet", device="meta")
    # C (2 + r) channels into the decoder's stages of 256 and 512 channels.
    widths = {stage.convs[0].conv.out_channels: stage.convs[0].conv.in_channels for stage in network.decoder.stages}
    assert widths == {1024: 2048, 512: 1024 + 256, 256: 512 + 192, 64: 128, 32: 64}


@pytest.mark.parametrize(
    ("name", "dimension", "reason"),
    [
        ("IFECurvature_SegResNet", "3d", "IFECurvature has no place in SegResNet: it enhances"),
        ("IFERandom_SwinUNETR", "3d", "IFERandom has no place in SwinUNETR: it enhances"),
        ("IFECurvature_SegFormerB3", "2d", "IFECurvature has no place in Segformer: it enhances"),
        ("IFEEntropy_UNetPlusPlus", "2d", "IFEEntropy has no place in UnetPlusPlus: it enhances"),
        (
            "DeepLabV3Plus_IFECurvature_r0p5x0p5x0p5",
            "2d",
            "r names 3 ratios, but DeepLabV3Plus has 2 places (low-level features, pyramid (ASPP)): name fewer",
        ),
    ],
)
def test_a_network_without_such_a_place_is_refused_by_name(
    bench: Bench, name: str, dimension: str, reason: str
) -> None:
    assert reason in refused(bench, name, dimension)


@pytest.mark.usefixtures("small")
def test_the_log_names_the_places(bench: Bench) -> None:
    with bench.room(trainer_of("DeepLabV3Plus_IFECurvature"), Situation("labels", "2d", False)) as run:
        log = Path(run.build().log_file).read_text()
    assert "IFECurvature: low-level features shows 36 of its 48 channels twice" in log
    assert "IFECurvature: pyramid (ASPP) shows 8 of its 16 channels twice" in log


@pytest.mark.parametrize("name", ["ResNet50UNet", "TimmUNet", "SINetV2"])
def test_one_patch_with_one_voxel_in_the_deepest_stage_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with bench.room(trainer_of(name), Situation("labels", "2d", False)) as run:
        configuration = run.data.plans["configurations"]["2d"]
        monkeypatch.setitem(configuration, "batch_size", 1)
        monkeypatch.setitem(configuration, "patch_size", [32, 32])
        with pytest.raises(ValueError, match=f"{name} needs more than one patch of 32x32 per batch"):
            run.build()
        assert not (run.folder / "results").exists()
        monkeypatch.setitem(configuration, "patch_size", [32, 64])
        run.build()


def test_one_patch_per_batch_is_refused_for_deeplab(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of("DeepLabV3Plus")
    with bench.room(trainer, Situation("labels", "2d", False)) as run:
        configuration = run.data.plans["configurations"]["2d"]
        monkeypatch.setitem(configuration, "batch_size", 1)
        with pytest.raises(ValueError, match="at least 2 patches per batch, and per GPU where several train; got 1"):
            run.build()
        assert not (run.folder / "results").exists()
        # nnU-Net makes its trainers in a group of processes: one of two gets a single patch of three.
        monkeypatch.setitem(configuration, "batch_size", 3)
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
        monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
        with pytest.raises(ValueError, match="per GPU where several train; got 1"):
            run.build()
        assert not (run.folder / "results").exists()


@pytest.mark.parametrize("channels", [3, 5, 32])
def test_vnet_refuses_channels_that_its_first_layer_cannot_repeat(bench: Bench, channels: int) -> None:
    trainer = trainer_of("VNet")
    with bench.room(trainer, Situation("labels", "3d", False)) as run:
        names = {str(number): "MRI" for number in range(channels)}
        dataset_json = {**run.data.dataset_json, "channel_names": names}
        plans = {**run.data.plans, "continue_training": False}
        with pytest.raises(
            ValueError, match=f"VNet takes images of 1, 2, 4, 8 or 16 channels, and these have {channels}"
        ):
            trainer(plans, "3d_fullres", 0, dataset_json)
        assert not (run.folder / "results").exists()


def test_vnet_says_why_a_cascade_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of("VNet")
    with bench.room(trainer, Situation("labels", "cascade", False)) as run:
        plans = {**run.data.plans, "continue_training": False}
        monkeypatch.setattr("nnunet_tricks.training.preconditions._check_first_stage", lambda *_: None)
        with pytest.raises(ValueError, match="these have 3, those of the first stage's classes included"):
            trainer(plans, "3d_cascade_fullres", 0, run.data.dataset_json)


@pytest.mark.usefixtures("small")
def test_unetr_takes_patches_of_its_plans_only() -> None:
    network = built("UNETR", dimensions=3, patch=(8, 24, 32), channels=1).eval()
    assert network.inside((8, 24, 32)) == (16, 32, 32)
    assert network(torch.zeros(1, 1, 8, 20, 32)).shape == (1, 2, 8, 20, 32)
    with pytest.raises(ValueError, match="patch size of its plans: it takes 16x32x32 voxels, not 16x33x32"):
        network(torch.zeros(1, 1, 16, 33, 32))


@pytest.mark.usefixtures("small")
def test_unetr_trains_no_layer_that_it_does_not_use() -> None:
    network = built("UNETR", dimensions=3, patch=(16, 32, 32), channels=1)
    idle = [name for name, weight in network.named_parameters() if not weight.requires_grad]
    assert len(idle) == 24
    assert all("norm_cross_attn" in name for name in idle)


@pytest.mark.usefixtures("small")
def test_swin_unetr_has_two_voxels_to_normalise_in_its_deepest_stage() -> None:
    network = built("SwinUNETR", dimensions=3, patch=(32, 32, 32), channels=1)
    assert network.inside((20, 30, 32)) == (32, 32, 64)
    assert network(torch.rand(1, 1, 20, 30, 32)).isfinite().all()
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        network.body(torch.rand(1, 1, 32, 32, 32))


@pytest.mark.parametrize("name", ["VNet", "SwinUNETR"])
def test_the_small_network_of_the_kit_has_the_layers_of_the_full_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = built(name, dimensions=3, channels=1, device="meta")
    monkeypatch.setenv(VARIABLE, "small")
    small = built(name, dimensions=3, channels=1, device="meta")
    names, fewer = ({key: weight.ndim for key, weight in network.named_parameters()} for network in (full, small))
    assert fewer.items() <= names.items()
    # Stages of Swin UNETR have one block in place of two.
    assert {key for key in names if ".blocks.1." not in key} <= set(fewer)


def test_a_licence_that_forbids_something_is_in_the_log(bench: Bench) -> None:
    with bench.room(trainer_of("SegFormerB3"), Situation("labels", "2d", False)) as run:
        log = Path(run.build().log_file).read_text()
    assert "SegFormerB3: licence: the encoder's code has the NVIDIA Source Code License" in log


@pytest.mark.usefixtures("small")
@torch.no_grad()
def test_library_and_wrapper_compute_the_same_on_multiples() -> None:
    network: nn.Module = built("DeepLabV3Plus").eval()
    image = torch.rand(2, 3, 32, 64)
    assert torch.equal(network(image), network.body(image))  # type: ignore[operator]
