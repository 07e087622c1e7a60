"""What holds for every network of the catalogue."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.outcome import Status
from nnunet_tricks.tricks.network.architecture.shared_statistics import with_shared_statistics
from tests.tricks.network.architecture.networks import built, trainer_of

NETWORKS = [info for info in CATALOGUE if "network.backbone" in info.hooks]
MILLIONS = {
    "ResNet50UNet": 71.9,
    "Res2Net50UNet": 72.1,
    "EfficientNetLite0UNet": 3.6,
    "DeepLabV3Plus": 26.7,
    "SegFormerB3": 44.6,
    "UNetPlusPlus": 49.0,
    "SegResNet": 18.8,
    "UNETR": 92.7,
    "SwinUNETR": 62.2,
    "AttentionUNet": 16.7,
    "VNet": 45.6,
    "ViTB16": 91.5,
    "ViTL16": 310.2,
    "ViTB32": 93.3,
    "ViTL32": 312.5,
    "SINetV2": 24.96,
    "GenesisUNet3D": 19.07,
}
"""Parameters of the networks as papers and libraries have them, with two classes."""

every_network = pytest.mark.parametrize("info", NETWORKS, ids=lambda info: info.name)


def small_network(info: TrickInfo, **settings: Any) -> tuple[Any, torch.Tensor]:
    """A network, and an image that it must pad along one axis or two."""
    size = (32, 40) if info.dimensions == 2 else (8, 24, 32)
    channels = 1 if info.dimensions == 3 else 3
    torch.manual_seed(0)
    image = torch.rand(2, channels, *size)
    return built(info.name, dimensions=info.dimensions, patch=size, channels=channels, **settings), image


@pytest.mark.usefixtures("small")
@every_network
def test_every_weight_that_is_trained_gets_a_gradient(info: TrickInfo) -> None:
    # DDP stops at one that gets none.
    network, image = small_network(info, deep_supervision="supervision" not in info.hooks)
    output = network(image)
    sum(level.square().mean() for level in (output if isinstance(output, list) else [output])).backward()
    idle = [key for key, weight in network.named_parameters() if weight.requires_grad and weight.grad is None]
    assert idle == []


@pytest.mark.usefixtures("small")
@every_network
@torch.no_grad()
def test_outputs_are_as_large_as_images_and_statistics_can_be_shared(info: TrickInfo) -> None:
    network, image = small_network(info)
    network.eval()
    expected = network(image)
    assert expected.shape == (2, 2, *image.shape[2:])
    converted = with_shared_statistics(deepcopy(network))
    assert torch.equal(converted(image), expected)
    assert converted.state_dict().keys() == network.state_dict().keys()
    shared = [module for module in converted.modules() if isinstance(module, nn.SyncBatchNorm)]
    batch = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert len(shared) == len(batch)


@every_network
def test_what_it_needs_is_installed_with_its_extra(info: TrickInfo) -> None:
    assert bool(info.packages) == bool(info.extra)
    assert info.extra in ("", "networks")


@every_network
def test_it_is_built_where_its_images_are_and_nowhere_else(info: TrickInfo, bench: Bench) -> None:
    for dimension in ("2d", "3d"):
        report = bench.check(trainer_of(info.name), Situation("labels", dimension, False), steps=("build",))
        (outcome,) = report.outcomes
        fits = dimension == f"{info.dimensions}d"
        assert outcome.status is (Status.PASS if fits else Status.NOT_APPLICABLE), outcome.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", MILLIONS)
def test_the_full_network_has_its_parameters_and_trains_a_step(name: str) -> None:
    (info,) = (info for info in NETWORKS if info.name == name)
    size = (64, 64) if info.dimensions == 2 else (32, 32, 64)
    channels = 1 if info.dimensions == 3 else 3
    network = built(name, dimensions=info.dimensions, patch=size, channels=channels)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(MILLIONS[name], abs=0.06)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    image, truth = torch.rand(2, channels, *size), torch.zeros(2, *size, dtype=torch.int64)
    loss = nn.functional.cross_entropy(network(image), truth)
    loss.backward()
    optimizer.step()
    assert nn.functional.cross_entropy(network(image), truth).isfinite()


@pytest.mark.slow
def test_each_network_is_counted() -> None:
    assert {info.name for info in NETWORKS} - {"TimmUNet"} == set(MILLIONS)
