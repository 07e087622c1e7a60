"""Attention behind the stages of nnU-Net's planned networks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.blocks import ChannelSELayer
from torch import nn
from torch.nn import functional as F  # noqa: N812, its standard name

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.tricks.network.blocks.attention_trainer import StageAttention
from nnunet_tricks.tricks.network.blocks.cbam import MixedAttention
from nnunet_tricks.tricks.network.blocks.channel_attention import SqueezeExcitation
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.spatial_attention import SpatialAttention
from tests.tricks.network.blocks.planned import KINDS, SIZES, built, plans_of

ATTENTION = tuple(info.name for info in CATALOGUE if info.hooks == ("network.attention",))
FULL = 200.0
"""Bias with which a sigmoid is 1, to the last bit."""


def layers_in(dimensions: int) -> PlannedLayers:
    return PlannedLayers({2: nn.Conv2d, 3: nn.Conv3d}[dimensions], norm=None, nonlin=nn.LeakyReLU)


@pytest.mark.parametrize("size", [(5, 6), (3, 4, 5)])
def test_squeeze_excitation_is_monais(size: tuple[int, ...]) -> None:
    mine, theirs = SqueezeExcitation(8, reduction=4), ChannelSELayer(len(size), 8, r=4)
    ours, other = [mine.squeeze, mine.excite], [layer for layer in theirs.fc if isinstance(layer, nn.Linear)]
    for layer, reference in zip(ours, other, strict=True):
        reference.load_state_dict(layer.state_dict())
    features = torch.randn(2, 8, *size)
    torch.testing.assert_close(mine(features), theirs(features))


@settings(max_examples=20)
@given(size=st.lists(st.integers(1, 5), min_size=2, max_size=3), channels=st.integers(1, 40))
def test_all_spatial_axes_are_averaged_whatever_their_order(size: list[int], channels: int) -> None:
    mine = SqueezeExcitation(channels, reduction=16)
    assert mine.hidden == max(1, channels // 16)
    features = torch.randn(2, channels, *size)
    weights = mine.view(features)
    assert weights.shape == (2, channels)
    torch.testing.assert_close(weights, mine.view(features.transpose(2, -1)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(mine(features).transpose(2, -1), mine(features.transpose(2, -1)), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("size", "kernel"), [((6, 5), (3, 3)), ((4, 6, 5), (1, 3, 3)), ((4, 6, 5), (3, 3, 3))])
def test_cbam_is_the_papers_equations(size: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    mine = MixedAttention(8, kernel, layers_in(len(size)), reduction=4, size=3)
    features = torch.randn(2, 8, *size)
    axes = tuple(range(2, features.ndim))

    def perceptron(values: torch.Tensor) -> torch.Tensor:
        return F.linear(
            F.relu(F.linear(values, mine.squeeze.weight, mine.squeeze.bias)), mine.excite.weight, mine.excite.bias
        )

    channels = torch.sigmoid(perceptron(features.mean(axes)) + perceptron(features.amax(axes)))
    weighted = features * channels.view(2, 8, *(1,) * len(size))
    maps = torch.stack([weighted.mean(1), weighted.amax(1)], 1)
    look: Any = mine.voxels.look
    convolve = F.conv2d if len(size) == 2 else F.conv3d
    seen = convolve(maps, look.weight, look.bias, padding=tuple(side // 2 for side in kernel))
    torch.testing.assert_close(mine(features), weighted * torch.sigmoid(seen))


def open_gates(network: nn.Module) -> None:
    """Let every sigmoid be 1."""
    for module in network.modules():
        if isinstance(module, StageAttention):
            last: Any = module.look if isinstance(module, SpatialAttention) else module.excite
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, FULL)


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_with_open_gates_it_is_the_planned_network_bit_for_bit(name: str, configuration: str, kind: str) -> None:
    plans = plans_of(configuration, kind)
    mine, plain = built(name, plans, configuration), built("", plans, configuration)
    fault = mine.load_state_dict(plain.state_dict(), strict=False)
    assert not fault.unexpected_keys
    image = torch.randn(2, 1, *SIZES[configuration])
    assert not torch.equal(mine(image), plain(image))
    open_gates(mine)
    assert torch.equal(mine(image), plain(image))
    names = [module.view_name for module in mine.modules() if isinstance(module, StageAttention)]
    kinds = 2 if name == "CBAM" else 1  # weights of channels, then those of voxels
    assert len(set(names)) == len(names) == 7 * kinds
    assert sum("encoder stage" in text for text in names) == 4 * kinds
    assert sum("decoder stage" in text for text in names) == 3 * kinds
    again = built(name, plans, configuration)
    again.load_state_dict(copy.deepcopy(mine.state_dict()), strict=True)


@pytest.mark.parametrize("name", ATTENTION)
def test_weights_are_from_zero_to_one_and_those_that_it_multiplies_by(name: str) -> None:
    attention = {
        "SqueezeExcitation": lambda: SqueezeExcitation(4, reduction=2),
        "SpatialAttention": lambda: SpatialAttention((3, 3), layers_in(2), size=7),
        "CBAM": lambda: MixedAttention(4, (3, 3), layers_in(2), reduction=2, size=7),
    }[name]()
    features = torch.randn(2, 4, 1, 1)
    weights = attention.view(features)
    assert ((weights > 0) & (weights < 1)).all()
    if name != "CBAM":
        ratio = attention(features) / features
        expected = weights[:, :, None, None] if name == "SqueezeExcitation" else weights.unsqueeze(1)
        torch.testing.assert_close(ratio, expected.expand_as(ratio))


def test_parameters_are_those_of_the_formula() -> None:
    def count(module: nn.Module) -> int:
        return sum(weight.numel() for weight in module.parameters())

    assert count(SqueezeExcitation(64, reduction=16)) == 64 * 4 + 4 + 4 * 64 + 64
    assert count(SpatialAttention((1, 3, 3), layers_in(3), size=7)) == 2 * 49 + 1
    assert count(SpatialAttention((3, 3, 3), layers_in(3), size=5)) == 2 * 125 + 1
    mixed = MixedAttention(64, (3, 3), layers_in(2), reduction=16, size=7)
    assert count(mixed) == 64 * 4 + 4 + 4 * 64 + 64 + 2 * 49 + 1


@pytest.mark.parametrize("name", ["SpatialAttention_size4", "CBAM_size6"])
def test_an_even_kernel_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="size must be an odd number"):
        built(name, plans_of("2d"), "2d")


@pytest.mark.parametrize("order", ["CBAM_Residual", "Dense_SqueezeExcitation"])
def test_it_comes_behind_other_blocks(order: str) -> None:
    network = built(order, plans_of("3d_fullres"), "3d_fullres")
    for stage in (network.encoder.stages[1][-1], network.decoder.stages[0]):
        assert isinstance(stage.convs[-1], StageAttention)
        assert len(stage.convs) == 2
