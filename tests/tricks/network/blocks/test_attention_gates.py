"""Gates on the skip connections of planned networks."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.nets.attentionunet import AttentionBlock
from scipy.ndimage import map_coordinates

from nnunet_tricks.tricks.network.blocks.attention_gates import AttentionGate
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


@pytest.mark.parametrize("dimensions", LAYERS)
def test_a_fine_gate_is_monais(dimensions: int) -> None:
    theirs = randomised(AttentionBlock(dimensions, f_int=4, f_g=8, f_l=8))
    mine = AttentionGate(8, 8, LAYERS[dimensions], fine=True).eval()
    for part, other in ((mine.theta, theirs.W_x), (mine.phi, theirs.W_g), (mine.psi, theirs.psi)):
        copied(other, part)
    features, signal = torch.randn(2, 2, 8, *[6, 5, 4][:dimensions])
    gated = features * mine(features, torch.empty(0), signal)
    torch.testing.assert_close(gated, theirs(signal, features))


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 4)), min_size=2, max_size=3), st.integers(0, 9))
@settings(max_examples=15)
def test_a_coarse_gate_is_the_papers_equation(axes: list[tuple[int, int]], seed: int) -> None:
    """By numpy: a linear map of each cell of x, one of each voxel of g, and scipy's linear interpolation."""
    stride, coarse = zip(*axes, strict=True)
    gate = randomised(AttentionGate(5, 7, LAYERS[len(axes)], stride=stride), seed)
    size = tuple(step * side for step, side in axes)
    generator = torch.Generator().manual_seed(seed)
    features, below = torch.randn(2, 5, *size, generator=generator), torch.randn(2, 7, *coarse, generator=generator)
    mine = gate(features, below, torch.empty(0)).detach().numpy()
    assert mine.shape == (2, 1, *size)
    w_x, w_g, b_g, psi, b_psi = (
        tensor.numpy().astype(float)
        for tensor in (
            gate.theta.weight.detach(),
            gate.phi.weight.detach(),
            gate.phi.bias.detach(),
            gate.psi.weight.detach(),
            gate.psi.bias.detach(),
        )
    )
    for sample in range(2):
        alpha = np.empty(coarse)
        for place in np.ndindex(*coarse):
            cell = tuple(slice(at * step, (at + 1) * step) for at, step in zip(place, stride, strict=True))
            inner = (w_x * features[sample].numpy()[(slice(None), *cell)]).sum(tuple(range(1, w_x.ndim)))
            inner = inner + w_g.reshape(2, 7) @ below[sample].numpy()[(slice(None), *place)] + b_g
            alpha[place] = 1 / (1 + np.exp(-(psi.reshape(2) @ np.maximum(inner, 0) + b_psi[0])))
        grid = np.meshgrid(*((np.arange(n) + 0.5) / s - 0.5 for n, s in zip(size, stride, strict=True)), indexing="ij")
        expected = map_coordinates(alpha, grid, order=1, mode="nearest")
        np.testing.assert_allclose(mine[sample, 0], expected, atol=1e-5)


@pytest.mark.parametrize("trainer", ["AttentionGates", "AttentionGates_fine_full"])
@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_open_gates_are_the_planned_network_bit_for_bit(trainer: str, configuration: str, network: str) -> None:
    plain, mine = built("", configuration, network), built(trainer, configuration, network)
    image = image_of(configuration)
    assert not same(outputs_of(mine, image), outputs_of(plain, image))
    for gate in mine.decoder.gates.values():
        *_, last = gate.psi.parameters()  # the bias of the convolution, or that of the norm layer
        for weight in gate.psi.parameters():
            torch.nn.init.zeros_(weight)
        torch.nn.init.constant_(last, 40)
    assert same(outputs_of(mine, image), outputs_of(plain, image))
    added = {name for name in mine.state_dict() if not name.startswith("decoder.gates.")}
    assert added == set(plain.state_dict())


@pytest.mark.parametrize("configuration", SIZES)
def test_gates_stand_below_full_resolution_and_have_as_many_weights_as_the_formula_says(configuration: str) -> None:
    coarse, fine = built("AttentionGates", configuration), built("AttentionGates_fine_full", configuration)
    assert list(coarse.decoder.gates) == ["1", "2"]
    assert list(fine.decoder.gates) == ["0", "1", "2"]
    channels, strides = coarse.encoder.output_channels, coarse.encoder.strides
    for skip, gate in coarse.decoder.gates.items():
        x, g = channels[int(skip)], channels[int(skip) + 1]
        c = x // 2
        assert weights(gate) == x * c * prod(strides[int(skip) + 1]) + g * c + c + c + 1
        assert gate.view_name == f"attention gate of skip connection {skip}"
    for skip, gate in fine.decoder.gates.items():
        x = channels[int(skip)]
        c = x // 2
        assert weights(gate) == 2 * (x * c + c) + c + 1 + 2 * (2 * c + 1)


def test_a_hook_sees_the_maps_and_so_does_the_viewer() -> None:
    network = built("AttentionGates").eval()
    maps: dict[str, torch.Tensor] = {}
    shown: dict[str, torch.Tensor] = {}
    for _skip, gate in network.decoder.gates.items():

        def remember(module: AttentionGate, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            maps[module.view_name], shown[module.view_name] = output, module.view(*inputs)

        gate.register_forward_hook(remember)
    network(image_of("2d", batch=1))
    assert {name: tuple(alpha.shape) for name, alpha in maps.items()} == {
        "attention gate of skip connection 1": (1, 1, 16, 16),
        "attention gate of skip connection 2": (1, 1, 8, 8),
    }
    assert all(torch.equal(alpha[:, 0], shown[name]) for name, alpha in maps.items())
    assert all(alpha.min() > 0 and alpha.max() < 1 for alpha in maps.values())


def test_a_network_without_skip_connections_below_full_resolution_is_refused() -> None:
    with pytest.raises(ValueError, match="a network of 2 stages has none: use AttentionGates_full"):
        built("AttentionGates", stages=2)
    assert list(built("AttentionGates_full", stages=2).decoder.gates) == ["0"]
