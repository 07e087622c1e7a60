"""A deep stem in place of the 7 x 7 convolution of a ResNet."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from nnunet_tricks.door import trainers
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.network.blocks.deep_stem import deep_stem
from tests.tricks.network.blocks.planned import built, plans_of


def check(name: str) -> None:
    """What a trainer of the name does before it makes a folder."""
    trainer: Any = trainers.find(f"nnUNetTrainer{name}")
    labels = {
        "labels": {"background": 0, "a": 1},
        "channel_names": {"0": "x", "1": "y", "2": "z"},
        "file_ending": ".png",
    }
    trainer.check_planned(Planned.of(plans_of("2d"), "2d", labels))


def test_it_is_the_stem_of_timms_resnet_c() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("resnet18", stem_type="deep", stem_width=32).eval()
    plain = timm.create_model("resnet18")
    stem = deep_stem(plain.conv1, nn.BatchNorm2d).eval()
    stem.load_state_dict(theirs.conv1.state_dict())
    image = torch.rand(2, 3, 40, 48)
    assert torch.equal(stem(image), theirs.conv1(image))
    # Kernels of 3 x 3 from 3 to 32, 32 and 64 channels without bias, and the norm layers between them.
    assert sum(weight.numel() for weight in stem.parameters()) == 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * 2 * 32
    # Drawn from the same distribution, as wide as its fan-out says.
    fresh = deep_stem(plain.conv1, nn.BatchNorm2d)
    for layer in (0, 3, 6):
        assert float(fresh[layer].weight.detach().std()) == pytest.approx(
            float(theirs.conv1[layer].weight.detach().std()), rel=0.1
        )


def test_the_encoder_is_that_of_timm_with_its_stem() -> None:
    network = built("DeepStem_TimmUNet", plans_of("2d"), "2d").eval()
    theirs = timm.create_model("resnet18", features_only=True, in_chans=1, stem_type="deep", stem_width=32).eval()
    theirs.load_state_dict(network.encoder.backbone.state_dict())
    image = torch.rand(1, 1, 64, 64)
    for mine, other in zip(network.encoder.backbone(image), theirs(image), strict=True):
        assert torch.equal(mine, other)
    assert network(image).shape == (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("DeepStem", "no such network is in the name: put ResNet50UNet"),
        ("DeepStem_TimmUNet_resnet18d", "has such a stem already"),
        ("DeepStem_TimmUNet_mobilenetv3_small_050", "has no convolution of 7 x 7"),
        ("DeepStem_EfficientNetLite0UNet", "has no convolution of 7 x 7"),
        ("DeepStem_ResNet50UNet_PretrainedPyTorch", "other first convolutions than the network that the weights"),
        ("DeepStem_TimmUNet_nosuchnet", "has no encoder 'nosuchnet'"),
    ],
)
def test_networks_without_such_a_stem_are_refused(name: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnunet_tricks_network_size", "small" if "ResNet50" in name else "full")
    with pytest.raises(ValueError, match=reason):
        check(name)
