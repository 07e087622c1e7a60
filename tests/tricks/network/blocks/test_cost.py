"""What networks cost, counted from shapes."""

from __future__ import annotations

from math import prod

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.blocks.cost import NetworkCost, cost_of

GROUPS = 4


def unet() -> nn.Module:
    return PlainConvUNet(
        input_channels=1,
        n_stages=3,
        features_per_stage=[4, 6, 8],
        conv_op=nn.Conv3d,
        kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        n_conv_per_stage=2,
        num_classes=3,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )


def grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(GROUPS, 8, kernel_size=3, groups=GROUPS, padding=1),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def by_hooks(network: nn.Module, image: Tensor) -> int:
    """Multiply-adds of convolutions and linear layers, from the sizes that a real pass shows."""
    counts = []

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if isinstance(layer, _ConvTransposeNd):
            counts.append(inputs[0][0].numel() * layer.out_channels * prod(layer.kernel_size))
        elif isinstance(layer, _ConvNd):
            counts.append(output[0].numel() * layer.in_channels // layer.groups * prod(layer.kernel_size))
        elif isinstance(layer, nn.Linear):
            counts.append(output[0].numel() * layer.in_features)

    for layer in network.modules():
        layer.register_forward_hook(count)
    network(image)
    return sum(counts)


@pytest.mark.parametrize(("make", "shape"), [(unet, (2, 1, 6, 16, 16)), (grouped, (3, GROUPS, 5, 6, 7))])
def test_multiply_adds_and_parameters_are_those_of_a_real_pass(make: type[nn.Module], shape: tuple[int, ...]) -> None:
    cost = cost_of(without_values(make), shape)
    network = make()
    assert cost.multiply_adds == by_hooks(network, torch.randn(shape))
    assert cost.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert cost == cost_of(network, shape)


def test_nothing_is_computed_and_nothing_drawn() -> None:
    """A batch that no machine has memory for."""
    state = torch.get_rng_state()
    cost = cost_of(without_values(unet), (2, 1, 1024, 4096, 4096))
    assert cost.activations > 2**40
    assert torch.equal(state, torch.get_rng_state())


def test_activations_are_what_stays_for_the_way_back() -> None:
    """A convolution keeps its input, an activation in place its output, a second reader nothing more."""
    shape = (2, 3, 8, 8)
    values = 4 * prod(shape)
    convolution = nn.Conv2d(3, 3, kernel_size=1)
    assert cost_of(convolution, shape).activations == values
    assert cost_of(nn.Sequential(convolution, nn.ReLU(inplace=True)), shape).activations == 2 * values
    two = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.Conv2d(3, 3, kernel_size=1))
    assert cost_of(two, shape).activations == 2 * values


def test_the_line_says_how_much_more_and_less() -> None:
    line = NetworkCost(1500, 2 * 10**6, 3 * 2**20).against(NetworkCost(1000, 4 * 10**6, 3 * 2**20))
    assert line == (
        "1500 parameters (+50.0 %), 2 million multiply-adds a patch (-50.0 %), 3 MiB of activations (+0.0 %)"
    )
