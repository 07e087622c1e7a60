"""Residual units on the skip connections of planned networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nnunet_tricks.tricks.network.blocks.residual_path import PathUnit, WidePathUnit, units_of
from tests.tricks.network.blocks.connected import (
    LAYERS,
    NETWORKS,
    SIZES,
    built,
    image_of,
    outputs_of,
    randomised,
    same,
    weights,
)


def normed(features: Tensor, norm: nn.Module) -> Tensor:
    """Batch norm of a trained network, by its definition."""
    shape = (1, -1, *[1] * (features.ndim - 2))
    mean, variance = norm.running_mean.view(shape), norm.running_var.view(shape)
    return (features - mean) / (variance + norm.eps).sqrt() * norm.weight.view(shape) + norm.bias.view(shape)


@pytest.mark.parametrize("dimensions", LAYERS)
def test_a_wide_unit_is_multiresunets(dimensions: int) -> None:
    unit = randomised(WidePathUnit(4, LAYERS[dimensions], 3))
    convolve = functional.conv2d if dimensions == 2 else functional.conv3d
    x = torch.randn(2, 4, *[6, 5, 4][:dimensions])
    # ResPath of the published code: shortcut of 1 x 1 with norm; 3 x 3, norm, ReLU; sum, ReLU, norm.
    shortcut = normed(convolve(x, unit.shortcut[0].weight, unit.shortcut[0].bias), unit.shortcut[1])
    out = normed(convolve(x, unit.block[0].weight, unit.block[0].bias, padding=1), unit.block[1]).relu()
    torch.testing.assert_close(unit(x), normed((shortcut + out).relu(), unit.last[1]))
    assert weights(unit) == 4 * 4 * 3**dimensions + 4 * 4 + 2 * 4 + 3 * 2 * 4


@pytest.mark.parametrize("dimensions", LAYERS)
def test_a_unit_is_its_equation(dimensions: int) -> None:
    unit = randomised(PathUnit(8, LAYERS[dimensions], 3))
    convolve = functional.conv2d if dimensions == 2 else functional.conv3d
    x = torch.randn(2, 8, *[6, 5, 4][:dimensions])
    first, second, last = unit.layers
    inner = normed(convolve(x, first[0].weight, first[0].bias), first[1]).relu()
    inner = normed(convolve(inner, second[0].weight, second[0].bias, padding=1), second[1]).relu()
    torch.testing.assert_close(unit(x), x + convolve(inner, last.weight, last.bias))
    assert weights(unit) == 8 * 2 + 2 * 2 * 3**dimensions + 2 * 8 + 2 + 2 + 8 + 2 * 2 * 2


@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_it_begins_as_the_planned_network_bit_for_bit(configuration: str, network: str) -> None:
    plain, mine = built("", configuration, network), built("ResidualPath_n2x1", configuration, network)
    image = image_of(configuration)
    assert same(outputs_of(mine, image), outputs_of(plain, image))
    assert [len(path) for path in mine.decoder.paths.values()] == [2, 1, 1]
    for unit in mine.decoder.paths.values():
        nn.init.ones_(unit[0].layers[-1].weight)
    assert not same(outputs_of(mine, image), outputs_of(plain, image))


def test_flat_kernels_stay_flat() -> None:
    paths = built("ResidualPath_n1_wide", "3d_fullres").decoder.paths
    assert [path[0].block[0].kernel_size for path in paths.values()] == [(1, 3, 3), (3, 3, 3), (3, 3, 3)]


def test_by_default_full_resolution_is_left_out() -> None:
    assert list(built("ResidualPath").decoder.paths) == ["1", "2"]


@pytest.mark.parametrize(
    ("lengths", "named"),
    [
        ((1, 1, 1, 1), "numbers for 4 skip connections, and the network has 3: .* such as ResidualPath_n1x1x1"),
        ((0, 0), "must be at least 1 for one skip connection"),
        ((1.5,), r"n of ResidualPath must be whole numbers, at least 0, got 1\.5"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(lengths: tuple[float, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        units_of(lengths, 3)


@pytest.mark.parametrize(
    ("stages", "named"), [(1, "needs a network of at least 2 stages"), (2, "such as ResidualPath_n1$")]
)
def test_the_default_says_what_fits_few_stages(stages: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        built("ResidualPath", stages=stages)
