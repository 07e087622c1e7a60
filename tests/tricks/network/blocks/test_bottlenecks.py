"""Modules behind the deepest stage of planned networks."""

from __future__ import annotations

import re
from math import ceil, prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from nnunet_tricks.tricks.network.blocks.aspp import AtrousPyramid, fitting_rates, rates_notes
from nnunet_tricks.tricks.network.blocks.non_local import NonLocalAttention, cap_notes, cell_size
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.pyramid_pooling import PoolingPyramid, fitting_pools
from tests.tricks.network.blocks.connected import (
    LAYERS,
    NETWORKS,
    SIZES,
    built,
    copied,
    image_of,
    outputs_of,
    randomised,
    same,
    weights,
)

maps = st.lists(st.integers(1, 7), min_size=2, max_size=3).filter(lambda size: prod(size) > 1)


def test_the_atrous_pyramid_is_torchvisions() -> None:
    theirs = randomised(ASPP(8, [2, 4, 6], out_channels=8))
    layers = PlannedLayers(nn.Conv2d, nn.BatchNorm2d, nn.ReLU, bias=False)
    mine = AtrousPyramid(8, layers, kernel=(3, 3), dilations=[(2, 2), (4, 4), (6, 6)], width=8, normed_mean=True).eval()
    for branch, other in zip([*mine.branches, mine.mean, mine.project], [*theirs.convs, theirs.project], strict=True):
        copied(other, branch)
    features = torch.randn(2, 8, 9, 7)
    torch.testing.assert_close(mine(features), theirs(features))


@given(maps, st.sampled_from([(2, 4, 6), (1, 2, 5)]))
@settings(max_examples=15)
def test_a_rate_that_fits_computes_what_the_whole_rate_does(size: list[int], rates: tuple[int, ...]) -> None:
    """Weights that would only see zeros are the difference between a rate and the one in its place."""
    kernel = (3,) * len(size)
    layers = LAYERS[len(size)]
    features = torch.randn(1, 2, *size)
    for rate in rates:
        (fitted,) = fitting_rates((rate,), size, kernel)
        assert all(step == rate or step == max(1, side - 1) for step, side in zip(fitted, size, strict=True))
        wide = layers.convolution(2, 1, kernel, dilation=rate)
        narrow = layers.convolution(2, 1, kernel, dilation=fitted)
        narrow.load_state_dict(wide.state_dict())
        for axis, side in enumerate(size):
            if rate >= side:  # both outer elements are outside of the map, wherever the middle is
                for weight in (wide.weight, narrow.weight):
                    weight.data.select(axis + 2, 0).zero_()
                    weight.data.select(axis + 2, 2).zero_()
        torch.testing.assert_close(narrow(features), wide(features))


def test_rates_with_a_common_factor_are_named_in_the_log() -> None:
    assert list(rates_notes((1, 2, 5), (8, 8), (3, 3))) == []
    (line,) = rates_notes((2, 4, 6), (8, 8), (3, 3))
    assert "have the common factor 2" in line
    (line,) = rates_notes((2, 4, 6), (3, 8, 8), (1, 3, 3))
    assert "are 1x2x2, 1x4x4, 1x6x6 in a bottleneck of 3x8x8" in line


def by_definition(features: NDArray[np.float32], cells: tuple[int, ...]) -> NDArray[np.float64]:
    """Means of one map over cells, which overlap where the sizes do not divide, as torch and Caffe cut them."""
    result = np.empty(cells)
    for place in np.ndindex(*cells):
        cut = [
            slice(at * side // count, ceil((at + 1) * side / count))
            for at, side, count in zip(place, features.shape, cells, strict=True)
        ]
        result[place] = features[tuple(cut)].mean()
    return result


@given(maps, st.integers(0, 9))
@settings(max_examples=12)
def test_the_pooling_pyramid_is_its_equation(size: list[int], seed: int) -> None:
    pools = fitting_pools((1, 2, 3, 6), size)
    pyramid = randomised(
        PoolingPyramid(8, LAYERS[len(size)], kernel=(3,) * len(size), pools=pools, normed_mean=True), seed
    )
    features = torch.randn(1, 8, *size, generator=torch.Generator().manual_seed(seed))
    levels = [features]
    for cells, branch in zip(pools, pyramid.branches, strict=True):
        pooled = np.stack([by_definition(channel.numpy(), cells) for channel in features[0]])
        small = branch(torch.from_numpy(pooled).float()[None])[0].detach().numpy()
        places = ((np.arange(n) + 0.5) * c / n - 0.5 for n, c in zip(size, cells, strict=True))
        grid = np.meshgrid(*places, indexing="ij")
        levels.append(
            torch.from_numpy(np.stack([map_coordinates(m, grid, order=1, mode="nearest") for m in small]))[None]
        )
    expected = pyramid.last(torch.cat(levels, 1))
    torch.testing.assert_close(pyramid(features), expected, atol=1e-4, rtol=1e-4)


@given(maps, st.integers(0, 9))
@settings(max_examples=15)
def test_non_local_attention_is_its_equation(size: list[int], seed: int) -> None:
    attention = randomised(NonLocalAttention(6, LAYERS[len(size)], tokens=4096), seed)
    features = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(seed))
    mine = attention(features).detach().numpy()
    coefficients = attention.coefficients(features).detach().numpy()
    layers = [attention.theta, attention.phi, attention.g, attention.last]
    kernels = [(layer.weight.detach().numpy().astype(float), layer.bias.detach().numpy()) for layer in layers]
    theta, phi, g, last = ((w.reshape(w.shape[:2]), b[:, None]) for w, b in kernels)
    for sample in range(2):
        x = features[sample].flatten(1).numpy().astype(float)
        similar = np.exp((theta[0] @ x + theta[1]).T @ (phi[0] @ x + phi[1]))
        share = similar / similar.sum(1, keepdims=True)
        y = share @ (g[0] @ x + g[1]).T
        z = x + last[0] @ y.T + last[1]
        np.testing.assert_allclose(mine[sample].reshape(6, -1), z, atol=1e-4)
        np.testing.assert_allclose(coefficients[sample], share, atol=1e-5)


@given(maps, st.integers(4, 40))
@settings(max_examples=30)
def test_voxels_look_at_cells_where_there_are_too_many(size: list[int], tokens: int) -> None:
    if prod(size) > tokens**2:
        with pytest.raises(ValueError, match=f"has {prod(size)} voxels, and {tokens} tokens are enough for"):
            cell_size(size, tokens)
        return
    cell = cell_size(size, tokens)
    attention = randomised(NonLocalAttention(4, LAYERS[len(size)], tokens=tokens))
    features = torch.randn(1, 4, *size)
    coefficients = attention.coefficients(features)
    seen = prod(ceil(side / step) for side, step in zip(size, cell, strict=True))
    assert coefficients.shape == (1, prod(size), seen)
    assert prod(size) * seen <= tokens**2
    torch.testing.assert_close(coefficients.sum(-1), torch.ones(1, prod(size)))
    assert attention(features).shape == features.shape
    # The map shows each voxel what its cell gets, whole cells and the smaller ones at the far end alike.
    cells = coefficients.mean(1).reshape([ceil(side / step) for side, step in zip(size, cell, strict=True)])
    expected = [cells[tuple(place // step for place, step in zip(at, cell, strict=True))] for at in np.ndindex(*size)]
    torch.testing.assert_close(attention.view(features), torch.stack(expected).reshape(1, *size))
    assert bool(list(cap_notes(size, tokens))) == (max(cell) > 1) == (prod(size) > tokens)
    # What does not differ within a cell is the same whether voxels or cells are looked at.
    flat = torch.ones_like(features)
    torch.testing.assert_close(attention(flat), randomised(NonLocalAttention(4, LAYERS[len(size)], tokens=400))(flat))


@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_non_local_attention_begins_as_the_planned_network_bit_for_bit(configuration: str, network: str) -> None:
    plain, mine = built("", configuration, network), built("NonLocal", configuration, network)
    image = image_of(configuration)
    assert same(outputs_of(mine, image), outputs_of(plain, image))
    nn.init.ones_(mine.decoder.bottleneck.last.weight)
    assert not same(outputs_of(mine, image), outputs_of(plain, image))
    aspp, both = built("ASPP", configuration, network), built("NonLocalASPP", configuration, network)
    copied(aspp.decoder.bottleneck, both.decoder.bottleneck[0])
    assert same(outputs_of(both, image), outputs_of(aspp, image))


def test_each_has_as_many_weights_as_the_formula_says() -> None:
    """The deepest stage of the tiny plans has 8 channels and 4x4 voxels; norm layers have two weights a channel."""
    channels = 8
    attention = built("NonLocal").decoder.bottleneck
    assert weights(attention) == 4 * channels * 4 + 3 * 4 + channels
    width = 2
    aspp = built("ASPP").decoder.bottleneck  # rates 2, 4 and 6 are 2 and 3 here
    branches = (2 + 2 * 9) * channels * width + 4 * width + 3 * 2 * width
    assert weights(aspp) == branches + 4 * width * channels + channels + 2 * channels
    assert weights(built("NonLocalASPP").decoder.bottleneck) == weights(aspp) + weights(attention)
    pools = built("PyramidPooling").decoder.bottleneck  # of 1, 2, 3 and 6 cells the first three
    branches = 3 * (channels * width + width) + 2 * 2 * width
    assert weights(pools) == branches + 9 * (channels + 3 * width) * channels + channels + 2 * channels


@pytest.mark.parametrize("trick", ["ASPP", "ASPP_hybrid", "PyramidPooling", "NonLocal", "NonLocalASPP"])
def test_kernels_of_the_plans_are_kept_and_a_single_voxel_is_defined(trick: str) -> None:
    """Layer norm takes a deepest stage of one voxel, for which instance norm has nothing to compare."""
    network = built(f"LayerNorm_{trick}" if trick > "L" else f"{trick}_LayerNorm", patch=(8, 8))
    image = torch.randn(2, 1, 8, 8)
    levels = network(image)
    assert levels[0].shape == (2, 3, 8, 8)
    assert all(torch.isfinite(level).all() for level in levels)
    convolutions = [m for m in network.decoder.bottleneck.modules() if isinstance(m, nn.Conv2d)]
    assert {m.kernel_size for m in convolutions} <= {(1, 1), (3, 3)}
    assert {m.dilation for m in convolutions} == {(1, 1)}


@pytest.mark.parametrize(
    ("trainer", "named"),
    [
        ("ASPP_rates2x2p5", "rates of ASPP must be whole numbers, at least 1, got 2.5"),
        ("ASPP_rates2x2", "rates of ASPP must differ, got 2, 2"),
        ("PyramidPooling_bins1x1p5", "bins of PyramidPooling must be whole numbers, at least 1, got 1.5"),
        ("PyramidPooling_bins3x3", "bins of PyramidPooling must differ, got 3, 3"),
    ],
)
def test_settings_that_mean_nothing_are_refused(trainer: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        built(trainer)


def test_a_bottleneck_that_is_too_large_for_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="a bottleneck of 20x20 has 400 voxels, and 16 tokens are enough for 256"):
        built("NonLocal_tokens16", patch=(160, 160))
