"""timm's encoders under nnU-Net's decoder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from torch import nn

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.tricks.network.architecture.backbone import BackboneUNet, TimmEncoder
from nnunet_tricks.tricks.network.architecture.shared_statistics import with_shared_statistics
from nnunet_tricks.tricks.network.architecture.timm_unet import NAMED
from tests.checkout import ROOT
from tests.tricks.network.architecture.networks import built, trainer_of

BACKBONES = ("ResNet50UNet", "Res2Net50UNet", "EfficientNetLite0UNet", "TimmUNet")


@pytest.fixture(scope="module")
def resnet() -> BackboneUNet:
    """The real one, in the size of the paper."""
    network: BackboneUNet = built("ResNet50UNet").eval()
    return network


@torch.no_grad()
def test_features_are_those_of_torchvision(resnet: BackboneUNet) -> None:
    theirs, image = torchvision.models.resnet50().eval(), torch.rand(1, 3, 64, 96)
    missing, unexpected = theirs.load_state_dict(resnet.encoder.backbone.state_dict(), strict=False)
    assert (missing, unexpected) == (["fc.weight", "fc.bias"], [])
    features = resnet.encoder(image)
    level = theirs.relu(theirs.bn1(theirs.conv1(image)))
    assert torch.equal(features[1], level)
    level = theirs.maxpool(level)
    for number, stage in enumerate((theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4)):
        level = stage(level)
        assert torch.equal(features[2 + number], level)


@torch.no_grad()
def test_an_image_that_fits_is_not_padded(resnet: BackboneUNet) -> None:
    image = torch.rand(1, 3, 64, 32)
    assert torch.equal(resnet(image), resnet.decoder(resnet.encoder(image)))


@torch.no_grad()
def test_an_image_that_does_not_fit_is_as_one_with_zeros_around(resnet: BackboneUNet) -> None:
    image = torch.rand(1, 3, 40, 57)
    whole = nn.functional.pad(image, [0, 7, 0, 24])
    assert torch.equal(resnet(image), resnet(whole)[..., :40, :57])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("channels", [1, 4])
def test_outputs_have_the_sizes_of_their_targets(name: str, channels: int, bench: Bench) -> None:
    with bench.room(trainer_of(name), Situation("labels", "2d", True)) as run:
        run.data.plans["configurations"]["2d"]["patch_size"] = [40, 52]
        try:
            trainer = run.build()
        finally:
            run.data.plans["configurations"]["2d"]["patch_size"] = [32, 32]
        scales = trainer._get_deep_supervision_scales()
    targets = DownsampleSegForDSTransform(scales)(segmentation=torch.zeros(1, 40, 52, dtype=torch.int16))
    outputs = built(name, channels=channels, deep_supervision=True)(torch.rand(2, channels, 40, 52))
    assert [level.shape[2:] for level in outputs] == [level.shape[1:] for level in targets["segmentation"]]
    assert [level.shape[:2] for level in outputs] == [(2, 2)] * len(outputs)


@pytest.mark.usefixtures("small")
@torch.no_grad()
@pytest.mark.parametrize("convert", [nn.SyncBatchNorm.convert_sync_batchnorm, timm.layers.convert_sync_batchnorm])
def test_other_conversions_are_why_there_is_ours(convert: Callable[[nn.Module], nn.Module]) -> None:
    network, image = built("EfficientNetLite0UNet").eval(), torch.rand(1, 3, 32, 32)
    assert not torch.allclose(convert(deepcopy(network))(image), network(image))


def test_the_trainer_converts_by_that_function(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    trainer = trainer_of("EfficientNetLite0UNet")
    with bench.room(trainer, Situation("labels", "2d", True)) as run:
        before = vars(nn.SyncBatchNorm)["convert_sync_batchnorm"]
        monkeypatch.setattr(
            trainer, "configure_optimizers", lambda self: seen.append(nn.SyncBatchNorm.convert_sync_batchnorm) or (1, 1)
        )
        run.build()
    assert seen == [with_shared_statistics]
    assert vars(nn.SyncBatchNorm)["convert_sync_batchnorm"] is before


def test_a_norm_trick_is_in_the_decoder_only() -> None:
    network = built("EfficientNetLite0UNet_GroupNorm_groups4", device="meta")
    plain = built("EfficientNetLite0UNet", device="meta")
    assert str(network.encoder.backbone) == str(plain.encoder.backbone)
    assert not any(isinstance(module, nn.InstanceNorm2d) for module in network.modules())
    assert any(isinstance(module, nn.GroupNorm) for module in network.decoder.stages.modules())


def test_enhanced_skip_connections_are_wider_where_the_decoder_takes_them() -> None:
    network = built("EfficientNetLite0UNet_IFECurvature", device="meta")
    plain = built("EfficientNetLite0UNet", device="meta")
    shapes, before = ({key: tuple(weight.shape) for key, weight in net.named_parameters()} for net in (network, plain))
    wider = {key: shape[1] - before[key][1] for key, shape in shapes.items() if shape != before[key]}
    # Five skip connections with 32, 16, 24, 40, 112 channels: the third and fourth, 3/4 and half of their channels.
    assert wider == {"decoder.stages.2.convs.0.conv.weight": 18, "decoder.stages.1.convs.0.conv.weight": 20}


@pytest.mark.parametrize(("encoder", "multiple"), [("swin_tiny_patch4_window7_224", 32), ("vgg11_bn", 32)])
def test_encoders_of_other_kinds_have_channels_first(encoder: str, multiple: int) -> None:
    settings = {"img_size": 64} if "swin" in encoder else {}
    with torch.device("meta"):
        made = TimmEncoder(encoder, 3, {}, **settings)
        features = made(torch.zeros(1, 3, 64, 64))
    assert made.multiple == multiple
    assert [level.shape[1] for level in features] == made.output_channels
    sides = [64]
    for stride, _ in made.strides[1:]:
        sides.append(sides[-1] // stride)
    assert [level.shape[2] for level in features] == sides


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("TimmUNet_resnet51", r"timm .* has no encoder 'resnet51'; nearest: resnet"),
        ("TimmUNet_resnet50", "has a name of its own: nnUNetTrainerResNet50UNet"),
        (
            "TimmUNet_vit_tiny_patch16_224",
            "'vit_tiny_patch16_224' of timm is no encoder for a U-Net with patches of 32x32",
        ),
    ],
)
def test_encoders_that_do_not_fit_are_refused_before_a_folder_is_made(bench: Bench, name: str, reason: str) -> None:
    with bench.room(trainer_of(name), Situation("labels", "2d", True)) as run:
        with pytest.raises(ValueError, match=reason):
            run.build()
        assert not (run.folder / "results").exists()


def test_every_named_encoder_is_the_one_of_its_trainer() -> None:
    assert {trainer_of(trick).sizes["full"]["encoder"]: trick for trick in NAMED.values()} == NAMED
    assert set(BACKBONES) == {
        i.name for i in CATALOGUE if "network.backbone" in i.hooks and "supervision" not in i.hooks
    }


def test_padding_and_parameters_are_in_the_log(bench: Bench) -> None:
    with bench.room(trainer_of("BN_EfficientNetLite0UNet"), Situation("labels", "2d", True)) as run:
        run.data.plans["configurations"]["2d"]["patch_size"] = [32, 40]
        try:
            log = run.build().log_file
        finally:
            run.data.plans["configurations"]["2d"]["patch_size"] = [32, 32]
        lines = Path(log).read_text()
    assert "EfficientNetLite0UNet: patches of 32x40 become 32x64 inside the network: 1.6 times the voxels" in lines
    assert "BN is in the decoder; the encoder keeps its own norm layers" in lines
    assert "million parameters" in lines


def test_importing_the_catalogue_imports_no_library_of_networks() -> None:
    code = "import sys, nnunet_tricks, nnunet_tricks.catalogue; print({'timm', 'monai', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "set()"
