"""Nested skip connections of planned networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.tricks.network.blocks.connected import (
    CLASSES,
    NETWORKS,
    SIZES,
    built,
    built_from,
    image_of,
    outputs_of,
    plans_of,
    same,
    weights,
)


def by_recursion(network: Any, image: Tensor) -> list[Tensor]:
    """U-Net++'s equation 1, node by node: H of all nodes of a stage before one, and of one below, upsampled."""
    decoder = network.decoder
    features = network.encoder(image)
    depth = len(features) - 1

    def node(stage: int, column: int) -> Tensor:
        if not column:
            return features[stage]
        before = [node(stage, earlier) for earlier in range(column)]
        if stage + column == depth:
            upsampling, convolutions = decoder.transpconvs[-1 - stage], decoder.stages[-1 - stage]
        else:
            own = decoder.nested.nodes[f"{stage}_{column}"]
            upsampling, convolutions = own.upsampling, own.convolutions
        return convolutions(torch.cat([upsampling(node(stage + 1, column - 1)), *before], 1))

    return [decoder.seg_layers[column - 1](node(0, column)) for column in range(depth, 0, -1)]


@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_the_papers_equation_with_all_outputs_at_full_size(configuration: str, network: str) -> None:
    mine = built("DenseSkips", configuration, network)
    image = image_of(configuration)
    levels = outputs_of(mine, image)
    assert [tuple(level.shape) for level in levels] == [(2, CLASSES, *SIZES[configuration])] * 3
    with torch.no_grad():
        expected = by_recursion(mine, image)
    for level, other in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, other)
    mine.decoder.deep_supervision = False
    with torch.no_grad():
        assert torch.equal(mine(image), levels[0])


@pytest.mark.parametrize("network", NETWORKS)
def test_with_zeros_for_what_is_wider_it_is_the_planned_network(network: str) -> None:
    plain, mine = built("", network=network), built("DenseSkips", network=network)
    theirs = plain.state_dict()
    weights_of = {}
    for name, weight in mine.state_dict().items():
        planned = theirs.get(name, weight)
        if planned.shape != weight.shape and "seg_layers" not in name:
            planned = torch.cat([planned, torch.zeros(len(weight), weight.shape[1] - planned.shape[1], 3, 3)], 1)
        weights_of[name] = weight if planned.shape != weight.shape else planned
    mine.load_state_dict(weights_of)
    image = image_of("2d")
    torch.testing.assert_close(outputs_of(mine, image)[0], outputs_of(plain, image)[0])


def test_it_has_as_many_weights_as_the_formula_says() -> None:
    plain, mine = built(""), built("DenseSkips")
    channels = plain.encoder.output_channels  # 4, 6, 8, 8 and strides of 2
    nodes = 0
    for stage, column in ((0, 1), (0, 2), (1, 1)):
        c = channels[stage]
        nodes += channels[stage + 1] * c * 4 + c + 9 * (column + 1) * c * c + c + 2 * c
    wider = 9 * (2 * channels[0] ** 2 + channels[1] ** 2)
    heads = CLASSES * (2 * channels[0] - channels[1] - channels[2])
    assert weights(mine) - weights(plain) == nodes + wider + heads


@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("prune", [1, 2])
def test_a_pruned_network_predicts_what_a_node_does_and_computes_no_more(
    configuration: str, network: str, prune: int
) -> None:
    whole, pruned = (
        built("DenseSkips", configuration, network),
        built(f"DenseSkips_prune{prune}", configuration, network),
    )
    pruned.load_state_dict(whole.state_dict())
    image = image_of(configuration)
    levels = outputs_of(whole, image)
    assert same(outputs_of(pruned, image), levels)
    pruned.eval()
    assert same(outputs_of(pruned, image), levels)  # a validation step compares all of them
    called = []
    for stage in list(pruned.encoder.stages.children()):
        stage.register_forward_hook(lambda module, inputs, output: called.append(module))
    pruned.decoder.deep_supervision = False
    with torch.inference_mode():
        assert torch.equal(pruned(image), levels[prune])
    assert len(called) == 4 - prune


@pytest.mark.parametrize(
    "trainer",
    [
        "AttentionGates_DenseSkips_prune1",
        "CBAM_DenseSkips_prune1",
        "DenseSkips_prune1_NonLocalASPP",
        "DenseSkips_prune1_Residual",
        "DenseSkips_prune1_ResidualPath",
        "DenseSkips_prune1_Wider",
    ],
)
def test_a_pruned_network_predicts_beside_other_parts(trainer: str) -> None:
    network = built(trainer).eval()
    network.decoder.deep_supervision = False
    with torch.inference_mode():
        assert network(image_of("2d")).shape == (2, CLASSES, *SIZES["2d"])


def test_nodes_have_the_plans_order_of_layers() -> None:
    plans = plans_of("2d")
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["nonlin_first"] = True
    decoder = built_from(plans, "DenseSkips").decoder
    for stage in (decoder.stages[-1], decoder.nested.nodes["0_1"].convolutions):
        order = [type(layer).__name__ for layer in stage.convs[0].all_modules]
        assert order == ["Conv2d", "LeakyReLU", "InstanceNorm2d"]


def test_the_compiler_prunes_alike() -> None:
    pruned = built("DenseSkips_prune1").eval()
    pruned.decoder.deep_supervision = False
    image = image_of("2d")
    with torch.inference_mode():
        torch.testing.assert_close(torch.compile(pruned, backend="eager")(image), pruned(image))


def test_a_single_output_has_no_other_heads() -> None:
    network = built("DenseSkips_single")
    assert len(network.decoder.seg_layers) == 1
    network.decoder.deep_supervision = False
    network(image_of("2d")).square().mean().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize(
    ("trainer", "stages", "named"),
    [
        ("DenseSkips", 1, "needs a network of at least 3 stages"),
        ("DenseSkips", 2, "needs a network of at least 3 stages"),
        ("DenseSkips_prune3", 4, "prune of DenseSkips must be at most 2 in a network of 4 stages, got 3"),
    ],
)
def test_too_few_stages_are_refused(trainer: str, stages: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        built(trainer, stages=stages)


def test_every_weight_learns() -> None:
    network: nn.Module = built("DenseSkips")
    torch.stack([level.square().mean() for level in network(image_of("2d"))]).sum().backward()
    assert all(
        weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters() if weight.ndim > 1
    )
