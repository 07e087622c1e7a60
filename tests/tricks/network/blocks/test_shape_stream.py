"""The shape stream in nnU-Net's planned networks."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.gated_shape import ShapeStream
from nnunet_tricks.tricks.network.blocks.shape_stream import WithEdges, edge_loss
from nnunet_tricks.tricks.network.blocks.viewing import Viewable, views_of
from nnunet_tricks.tricks.targets.edges import edges
from tests.tricks.network.blocks.planned import KINDS, SIZES, built, plans_of


@pytest.mark.parametrize(("kind", "configuration"), list(product(KINDS, SIZES)))
def test_it_begins_as_the_planned_network_bit_for_bit(kind: str, configuration: str) -> None:
    plans = plans_of(configuration, kind)
    mine, plain = built("ShapeStream", plans, configuration), built("", plans, configuration)
    weights = mine.state_dict()
    added = {name for name in weights if name not in plain.state_dict()}
    assert added
    assert all(name.startswith("shape_stream.") for name in added)
    mine.load_state_dict({**weights, **plain.state_dict()})
    image = torch.rand(2, 1, *SIZES[configuration])
    assert torch.equal(mine.eval()(image), plain.eval()(image))
    assert mine.shape_stream.edge_logits is None
    nn.init.ones_(mine.shape_stream.expand.weight)
    assert not torch.equal(mine(image), plain(image))


def by_hand(stream: ShapeStream, skips: list[Tensor]) -> Tensor:
    """The paper's equations, written down again with plain functions on the same weights."""
    dimensions = skips[0].ndim - 2
    convolve = {2: F.conv2d, 3: F.conv3d}[dimensions]
    mode = {2: "bilinear", 3: "trilinear"}[dimensions]
    state = convolve(skips[0], stream.start.weight, stream.start.bias)
    for stage, gate in zip(stream.stages, stream.gates, strict=True):
        parts: Any = gate
        texture = convolve(skips[stage], parts.reduce.weight, parts.reduce.bias)
        texture = F.interpolate(texture, size=state.shape[2:], mode=mode)
        both = torch.cat([state, texture], dim=1)
        alpha = 1 / (1 + torch.exp(-convolve(both, parts.attention.weight, parts.attention.bias)))
        state = parts.residual(state + state * alpha)
    return convolve(state, stream.edge.weight, stream.edge.bias)[:, 0]


def test_it_has_as_many_weights_as_the_formula_says() -> None:
    """Streams of 4 channels throughout, since the first stage of the tiny plans has 4."""
    network = built("ShapeStream", plans_of("2d"), "2d")
    first, *deeper = network.encoder.output_channels
    width = 4
    residual = 2 * (9 * width * width + width + 2 * width)  # two convolutions with their norm layers
    gates = sum((channels + 1) + (width + 1 + 1) + residual for channels in deeper)
    counted = sum(weight.numel() for weight in network.shape_stream.parameters())
    assert counted == (first + 1) * width + gates + (width + 1) + 2 * first


def test_an_encoder_of_a_single_stage_is_refused() -> None:
    plans = plans_of("2d")
    settings = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    settings["n_stages"], settings["n_conv_per_stage_decoder"] = 1, []
    for key in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage"):
        settings[key] = settings[key][:1]
    with pytest.raises(ValueError, match="ShapeStream needs an encoder of at least 2 stages, and the planned one has"):
        built("ShapeStream", plans, "2d")
    with pytest.raises(ValueError, match="a network of 1 stage has none: plan more stages"):
        built("AttentionGates_full", plans, "2d")


@pytest.mark.parametrize("configuration", SIZES)
def test_it_computes_the_papers_equations(configuration: str) -> None:
    network = built("ShapeStream", plans_of(configuration), configuration).train()
    skips = network.encoder(torch.rand(2, 1, *SIZES[configuration]))
    first, *others = network.shape_stream(skips)
    logits = by_hand(network.shape_stream, skips)
    torch.testing.assert_close(network.shape_stream.edge_logits, logits)
    nn.init.ones_(network.shape_stream.expand.weight)
    torch.testing.assert_close(network.shape_stream(skips)[0], skips[0] + logits.sigmoid().unsqueeze(1))
    assert torch.equal(first, skips[0])
    assert all(a is b for a, b in zip(others, skips[1:], strict=True))


@given(st.integers(0, 99))
def test_the_loss_of_edges_is_torchs_with_balanced_weights(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 6, 5, generator=generator)
    truth = torch.rand(2, 6, 5, generator=generator) < 0.2
    share = truth.float().mean()
    weights = torch.where(truth, 1 - share, share)
    expected = F.binary_cross_entropy_with_logits(logits, truth.float(), weight=weights)
    torch.testing.assert_close(edge_loss(logits, truth, torch.ones_like(truth)), expected)
    # Whatever stands where nobody knows: only the known half counts.
    known = torch.zeros_like(truth)
    known[0] = True
    changed = logits.clone()
    changed[1] = 100
    torch.testing.assert_close(edge_loss(logits, truth, known), edge_loss(logits[:1], truth[:1], known[:1]))
    assert torch.equal(edge_loss(logits, truth, known), edge_loss(changed, truth, known))
    assert float(edge_loss(logits, truth, torch.zeros_like(truth))) == 0


@pytest.mark.parametrize("regions", [False, True])
def test_unlabelled_voxels_and_their_neighbours_do_not_count(regions: bool) -> None:
    stream = built("ShapeStream", plans_of("2d"), "2d").shape_stream
    labels = torch.zeros(1, 1, 12, 12, dtype=torch.int16)
    labels[..., 2:6, 2:6] = 1
    labels[..., 8:, :] = 2  # the ignore label
    target = torch.cat([labels == 1, labels == 2], dim=1) if regions else labels
    loss = WithEdges(lambda *_: torch.zeros(()), stream, weight=2.0, axes=(0, 1), regions=regions, ignore=2)
    stream.edge_logits = torch.randn(1, 12, 12, generator=torch.Generator().manual_seed(0))
    known = torch.zeros(1, 12, 12, dtype=torch.bool)
    known[:, :7] = True
    expected = 2 * edge_loss(stream.edge_logits, edges(labels == 1), known)
    torch.testing.assert_close(loss(None, [target, target]), expected)
    stream.edge_logits = None
    assert float(loss(None, target)) == 0


def test_its_maps_can_be_looked_at() -> None:
    network = built("ShapeStream", plans_of("3d_fullres"), "3d_fullres")
    image = torch.rand(1, 6, 24, 24)
    views = views_of(network, image)
    assert [view.name for view in views] == [
        "edges (shape stream)",
        *(f"shape gate of stage {stage}" for stage in (1, 2, 3)),
    ]
    assert all(view.is_map and view.values.shape == (6, 24, 24) for view in views)
    assert all(0 <= view.values.min() <= view.values.max() <= 1 for view in views)
    logits = by_hand(network.shape_stream, network.encoder(image[None]))
    torch.testing.assert_close(views[0].values, logits[0].sigmoid())
    assert not any(isinstance(module, Viewable) for module in built("", plans_of("2d"), "2d").modules())


def test_other_parts_fit_beside_it_and_other_networks_do_not() -> None:
    plans = plans_of("2d")
    image = torch.rand(1, 1, 32, 32)
    for name in ("IFECurvature_ShapeStream", "GroupNorm_ShapeStream_Wider"):
        assert built(name, plans, "2d")(image).shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"ShapeStream stands between .*name BackboneUNet"):
        built("EfficientNetLite0UNet_ShapeStream", plans, "2d")
