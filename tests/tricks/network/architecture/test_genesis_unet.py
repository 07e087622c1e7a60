"""The 3D U-Net of Model Genesis."""

from __future__ import annotations

import pytest
import torch

from nnunet_tricks.tricks.network.architecture.genesis_unet import GenesisUNet3D

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def published_names() -> set[str]:
    """Names of the published checkpoint, without the ``module.`` before them."""
    names = {f"out_tr.final_conv.{part}" for part in ("weight", "bias")}
    for level in ("down_tr64", "down_tr128", "down_tr256", "down_tr512", "up_tr256", "up_tr128", "up_tr64"):
        for number in (0, 1):
            names |= {f"{level}.ops.{number}.conv1.{part}" for part in ("weight", "bias")}
            names |= {f"{level}.ops.{number}.bn1.{part}" for part in NORM}
        if level.startswith("up"):
            names |= {f"{level}.up_conv.{part}" for part in ("weight", "bias")}
    return names


@pytest.fixture(scope="module")
def full() -> GenesisUNet3D:
    with torch.device("meta"):
        return GenesisUNet3D(1, 2)


def test_weights_are_as_many_as_in_the_paper(full: GenesisUNet3D) -> None:
    assert sum(weight.numel() for weight in full.parameters()) == 19_073_730


def test_weights_have_the_names_and_shapes_of_the_checkpoint(full: GenesisUNet3D) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in full.state_dict().items()}
    assert set(shapes) == published_names()
    assert shapes["down_tr64.ops.0.conv1.weight"] == (32, 1, 3, 3, 3)
    assert shapes["down_tr512.ops.1.conv1.weight"] == (512, 256, 3, 3, 3)
    assert shapes["up_tr256.up_conv.weight"] == (512, 512, 2, 2, 2)
    assert shapes["up_tr256.ops.0.conv1.weight"] == (256, 512 + 256, 3, 3, 3)
    assert shapes["up_tr64.ops.1.conv1.weight"] == (64, 64, 3, 3, 3)


@pytest.mark.parametrize("channels", [1, 4])
def test_every_weight_is_trained(channels: int) -> None:
    network = GenesisUNet3D(channels, 3, shrink=16)
    logits = network(torch.randn(1, channels, 8, 16, 24))
    assert logits.shape == (1, 3, 8, 16, 24)
    logits.square().mean().backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None]


def test_skip_connections_keep_single_voxels() -> None:
    network = GenesisUNet3D(1, 1, shrink=16).eval()
    for level in (256, 128, 64):
        torch.nn.init.zeros_(network.get_submodule(f"up_tr{level}").up_conv.weight)
    image = torch.zeros(1, 1, 32, 32, 32)
    base = network(image)
    image[..., 16, 16, 16] = 100.0
    changed = (network(image) - base).abs() > 0
    assert changed.any()
    # Four convolutions at full size.
    assert changed.nonzero()[:, 2:].sub(16).abs().max() <= 4


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiples of 8, got \(8, 12, 16\)"):
        GenesisUNet3D(1, 2, shrink=16)(torch.zeros(1, 1, 8, 12, 16))
