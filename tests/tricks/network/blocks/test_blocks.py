"""Other blocks in the stages of nnU-Net's planned networks."""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import prod
from typing import Any, cast

import pytest
import torch
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.blocks.dynunet_block import UnetResBlock
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, its standard name

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.network.blocks.dense import DenseUnit
from nnunet_tricks.tricks.network.blocks.depthwise_separable import SeparableConvolution, SeparableUnit
from nnunet_tricks.tricks.network.blocks.inception import InceptionUnit
from nnunet_tricks.tricks.network.blocks.multi_res import MultiResUnit, widths
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.recurrent_residual import RecurrentResidualUnit
from nnunet_tricks.tricks.network.blocks.residual import ResidualUnit
from nnunet_tricks.tricks.network.blocks.stages import BlockStage, UnitShape
from tests.tricks.network.blocks.planned import KINDS, SIZES, built, plans_of

BLOCKS = tuple(info.name for info in CATALOGUE if info.hooks == ("network.block",))
UNITS: dict[str, Any] = {
    "Residual": ResidualUnit,
    "Dense": lambda shape, layers: DenseUnit(shape, layers, growth=0.5),
    "Inception": InceptionUnit,
    "RecurrentResidual": lambda shape, layers: RecurrentResidualUnit(shape, layers, steps=2),
    "DepthwiseSeparable": SeparableUnit,
    "MultiRes": MultiResUnit,
}


def layers_in(dimensions: int, *, norm: bool = True, dropout: bool = False) -> PlannedLayers:
    norms = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
    return PlannedLayers(
        conv={2: nn.Conv2d, 3: nn.Conv3d}[dimensions],
        norm=norms[dimensions] if norm else None,
        norm_settings={"affine": True, "eps": 1e-5} if norm else {},
        dropout={2: nn.Dropout2d, 3: nn.Dropout3d}[dimensions] if dropout else None,
        dropout_settings={"p": 0.2, "inplace": True} if dropout else {},
        nonlin=nn.LeakyReLU,
        nonlin_settings={"inplace": True},
    )


shapes = st.integers(2, 3).flatmap(
    lambda dimensions: st.builds(
        UnitShape,
        in_channels=st.integers(1, 9),
        out_channels=st.integers(4, 9),
        kernel=st.tuples(*[st.sampled_from([1, 3])] * dimensions),
        stride=st.tuples(*[st.sampled_from([1, 2])] * dimensions),
        convolutions=st.integers(1, 2),
        reads_image=st.booleans(),
    )
)


@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=15)
@given(shape=shapes, norm=st.booleans(), dropout=st.booleans())
def test_a_unit_has_the_planned_shape_and_every_weight_learns(
    name: str, shape: UnitShape, norm: bool, dropout: bool
) -> None:
    unit = UNITS[name](shape, layers_in(len(shape.kernel), norm=norm, dropout=dropout))
    features = torch.randn(2, shape.in_channels, *(4 * step for step in shape.stride), requires_grad=True)
    out = unit(features)
    assert out.shape == (2, shape.out_channels, *(4,) * len(shape.stride))
    out.square().sum().backward()
    assert features.grad is not None
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in unit.parameters())


def convolution(shape: UnitShape, before: int, after: int, bias: bool = True) -> int:
    return before * after * prod(shape.kernel) + bias * after


FORMULAS: dict[str, Any] = {
    "Residual": lambda s, i, o: (
        convolution(s, i, o) + 2 * o + convolution(s, o, o) + 2 * o + (i * o + 2 * o if i != o else 0)
    ),
    "Dense": lambda s, i, o: (
        convolution(s, i, o // 2) + convolution(s, i + o // 2, o // 2) + 2 * o + ((i + o) * o + o) + 2 * o
    ),
    "Inception": lambda s, i, o: 4 * convolution(s, i, o // 4) + 3 * convolution(s, o // 4, o // 4) + 7 * 2 * (o // 4),
    "RecurrentResidual": lambda s, i, o: (
        (i * o + o if i != o else 0) + 2 * (convolution(s, o, o) + convolution(s, o, o, bias=False) + 3 * 2 * o)
    ),
    "DepthwiseSeparable": lambda s, i, o: (
        i * prod(s.kernel) + i * o + o + 2 * o + o * prod(s.kernel) + o * o + o + 2 * o
    ),
    "MultiRes": lambda s, i, o: (
        convolution(s, i, o // 6)
        + convolution(s, o // 6, o // 3)
        + convolution(s, o // 3, o // 2)
        + 2 * o
        + (i * o + o)
        + 3 * 2 * o
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("kernel", [(3, 3), (1, 3, 3), (3, 3, 3)])
@pytest.mark.parametrize("channels", [(12, 24), (24, 24)])
def test_parameters_are_those_of_the_formula(name: str, kernel: tuple[int, ...], channels: tuple[int, int]) -> None:
    shape = UnitShape(*channels, kernel=kernel, stride=(1,) * len(kernel))
    unit = UNITS[name](shape, layers_in(len(kernel)))
    assert sum(weight.numel() for weight in unit.parameters()) == FORMULAS[name](shape, *channels)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3, 3)])
@pytest.mark.parametrize(("before", "after", "step"), [(4, 4, 1), (4, 8, 1), (4, 8, 2), (8, 8, 2)])
def test_a_residual_unit_is_nnunets_own_block(kernel: tuple[int, ...], before: int, after: int, step: int) -> None:
    dimensions = len(kernel)
    layers, stride = layers_in(dimensions), (step,) * dimensions
    mine = ResidualUnit(UnitShape(before, after, kernel, stride), layers)
    theirs = BasicBlockD(
        layers.conv, before, after, kernel, stride, True, layers.norm, layers.norm_settings,
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    )  # fmt: skip
    for weight in mine.parameters():
        nn.init.normal_(weight)
    pairs = [(mine.convs, nn.Sequential(theirs.conv1.all_modules, theirs.conv2.all_modules))]
    pairs += [(mine.shortcut, theirs.skip)] if isinstance(theirs.skip, nn.Module) else []
    for own, other in pairs:
        for weight, copy in zip(own.parameters(), other.parameters(), strict=True):
            copy.data.copy_(weight)
    features = torch.randn(2, before, *(4 * step,) * dimensions)
    assert torch.equal(mine(features), theirs(features))


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3, 3), (3, 3, 3)])
@pytest.mark.parametrize("after", [4, 6])
def test_a_residual_unit_is_monais(kernel: tuple[int, ...], after: int) -> None:
    """MONAI's convolutions have no bias."""
    theirs: Any = UnetResBlock(len(kernel), 4, after, kernel, 1, ("instance", {"affine": True}))
    mine: Any = ResidualUnit(
        UnitShape(4, after, kernel, (1,) * len(kernel)), replace(layers_in(len(kernel)), bias=False)
    )
    for weight in mine.parameters():
        nn.init.normal_(weight)
    pairs = [(mine.convs[0], theirs.conv1, theirs.norm1), (mine.convs[1], theirs.conv2, theirs.norm2)]
    pairs += [(mine.shortcut[0], theirs.conv3, theirs.norm3)] if after != 4 else []
    for layer, conv, norm in pairs:
        conv.conv.load_state_dict(layer.conv.state_dict())
        norm.load_state_dict(layer.norm.state_dict())
    features = torch.randn(2, 4, *(4,) * len(kernel))
    torch.testing.assert_close(mine(features), theirs(features))


def test_a_new_residual_unit_is_its_shortcut() -> None:
    features = torch.randn(2, 4, 6, 6)
    unit = ResidualUnit(UnitShape(4, 4, (3, 3), (1, 1)), layers_in(2))
    assert torch.equal(unit(features), F.leaky_relu(features))


def test_a_dense_unit_is_the_papers_equation() -> None:
    unit = DenseUnit(UnitShape(3, 8, (3, 3), (2, 2)), layers_in(2), growth=0.5)
    features = torch.randn(2, 3, 8, 8)
    first = F.avg_pool2d(features, 2)
    second = unit.layers[0](first)
    third = unit.layers[1](torch.cat([first, second], 1))
    torch.testing.assert_close(unit(features), unit.transition(torch.cat([first, second, third], 1)))


def test_an_inception_unit_joins_branches_of_atrous_convolutions() -> None:
    unit = InceptionUnit(UnitShape(3, 8, (3, 3), (1, 1)), layers_in(2))
    image = torch.randn(2, 3, 9, 7)
    branches = []
    for branch, rates in zip(unit.branches, ((1,), (3,), (1, 3), (1, 3, 5)), strict=True):
        state = image
        for layer, rate in zip(cast(Any, branch), rates, strict=True):
            seen = F.conv2d(state, layer.conv.weight, layer.conv.bias, padding=rate, dilation=rate)
            state = F.leaky_relu(F.instance_norm(seen))
        branches.append(state)
    torch.testing.assert_close(unit(image), torch.cat(branches, 1))


def test_inception_branches_see_as_far_as_those_of_ce_net() -> None:
    """3, 7, 9 and 19 voxels, from the gradient of one voxel."""
    unit = InceptionUnit(UnitShape(1, 4, (3, 3), (1, 1)), layers_in(2, norm=False)).double()
    far = []
    for branch in unit.branches:
        image = torch.zeros(1, 1, 41, 41, dtype=torch.double, requires_grad=True)
        branch(image)[0, :, 20, 20].sum().backward()
        assert image.grad is not None
        seen = image.grad[0, 0].abs().sum(0).nonzero().flatten()
        far.append(int(seen[-1] - seen[0]) + 1)
    assert far == [3, 7, 9, 19]


def test_a_recurrent_unit_is_the_papers_recursion() -> None:
    unit = RecurrentResidualUnit(UnitShape(4, 4, (3, 3), (1, 1), convolutions=1), layers_in(2), steps=2)
    (layer,) = unit.convs
    image = torch.randn(2, 4, 6, 6)
    state = torch.zeros_like(image)
    for norm in (finish.norm for finish in layer.finishes):
        total = F.conv2d(image, layer.forwards.weight, layer.forwards.bias, padding=1)
        state = F.leaky_relu(norm(total + F.conv2d(state, layer.recurrent.weight, padding=1)))
    torch.testing.assert_close(unit(image), image + state)


@pytest.mark.parametrize("norm", [True, False])
def test_one_kernel_for_both_is_the_well_known_implementation(norm: bool) -> None:
    """There the same convolution sees the sum of image and state."""
    unit = RecurrentResidualUnit(UnitShape(4, 4, (3, 3), (1, 1), convolutions=1), layers_in(2, norm=norm), steps=2)
    (layer,) = unit.convs
    layer.recurrent.weight.data.copy_(layer.forwards.weight)
    image = torch.randn(2, 4, 6, 6)

    def conv(features: Tensor) -> Tensor:
        seen = layer.forwards(features)
        return F.leaky_relu(F.instance_norm(seen) if norm else seen)

    state = conv(image)
    for _ in range(2):
        state = conv(image + state)
    torch.testing.assert_close(unit(image), image + state, atol=1e-5, rtol=1e-4)


def test_a_multi_res_unit_is_the_papers_block() -> None:
    unit = MultiResUnit(UnitShape(6, 12, (3, 3), (1, 1)), layers_in(2))
    image = torch.randn(2, 6, 8, 8)
    first = unit.convs[0](image)
    second = unit.convs[1](first)
    joined = F.instance_norm(torch.cat([first, second, unit.convs[2](second)], 1))
    shortcut = F.instance_norm(unit.shortcut[1].conv(image))
    expected = F.instance_norm(F.leaky_relu(joined + shortcut))
    torch.testing.assert_close(unit(image), expected, atol=1e-4, rtol=1e-4)
    assert widths(32 * 167 // 100) == (8, 17, 28)


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 6)),
    kernel=st.tuples(*[st.sampled_from([1, 3, 5])] * 3),
    stride=st.tuples(*[st.integers(1, 3)] * 3),
    seed=st.integers(0, 9),
)
def test_separable_convolutions_by_slices_are_those_of_torch(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], seed: int
) -> None:
    torch.manual_seed(seed)
    layer = SeparableConvolution(3, 5, kernel, stride, layers_in(3)).double()
    volume = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    expected = layer.pointwise(layer.depthwise(volume))
    mine = layer(volume)
    torch.testing.assert_close(mine, expected)
    weights = [volume, *layer.parameters()]
    weighing = torch.randn_like(mine)
    for own, theirs in zip(
        torch.autograd.grad((mine * weighing).sum(), weights),
        torch.autograd.grad((expected * weighing).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(own, theirs)


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("configuration", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_stages_are_replaced_and_all_else_stays(name: str, configuration: str, kind: str) -> None:
    plans = plans_of(configuration, kind)
    mine, plain = built(name, plans, configuration), built("", plans, configuration)
    image = torch.randn(2, 1, *SIZES[configuration])
    assert mine(image).shape == plain(image).shape
    replaced = [path for path, module in mine.named_modules() if isinstance(module, BlockStage)]
    encoder = 0 if (name, kind) == ("Residual", "ResidualEncoderUNet") else 4
    assert sum(path.startswith("encoder.") for path in replaced) == encoder
    assert len(replaced) == encoder + 3
    others = {key: weight.shape for key, weight in plain.state_dict().items() if "transpconvs" in key or "seg_" in key}
    assert {key: weight.shape for key, weight in mine.state_dict().items() if key in others} == others
    again = built(name, plans, configuration)
    again.load_state_dict(mine.state_dict(), strict=True)
    assert torch.equal(again.eval()(image), mine.eval()(image))


@pytest.mark.parametrize("name", ["BN_Residual", "DepthwiseSeparable_GroupNorm_groups2", "GroupNorm_Inception"])
def test_norm_tricks_are_in_the_blocks(name: str) -> None:
    network = built(name, plans_of("2d"), "2d")
    kind = nn.BatchNorm2d if "BN" in name else nn.GroupNorm
    norms = [m for m in network.modules() if isinstance(m, (nn.modules.batchnorm._NormBase, nn.GroupNorm))]
    assert norms
    assert all(isinstance(norm, kind) for norm in norms)


@pytest.mark.parametrize("name", ["Dense_IFECurvature", "IFECurvature_Residual"])
def test_enhanced_skips_come_into_the_blocks(name: str) -> None:
    """The stage has room for the channels that are shown twice, whatever the order of the words."""
    plans = plans_of("2d")
    network = built(name, plans, "2d")
    network(torch.randn(1, 1, 32, 32)).sum().backward()
    assert all(weight.grad is not None for weight in network.decoder.stages.parameters())
    trainer: Any = trainers.find(f"nnUNetTrainer{name}")
    weights = built("", plans, "2d").state_dict()
    assert set(trainer.adapted_weights(weights, network)) == set(weights)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_compiler_needs_no_break(name: str) -> None:
    unit = UNITS[name](UnitShape(4, 4, (3, 3, 3), (1, 1, 1)), layers_in(3))
    features = torch.randn(2, 4, 4, 4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(unit, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(features), unit(features))


def test_the_image_is_read_by_a_whole_convolution() -> None:
    network = built("DepthwiseSeparable", plans_of("3d_fullres"), "3d_fullres")
    groups = [module.groups for module in network.modules() if isinstance(module, nn.Conv3d)]
    assert groups[0] == 1
    assert 1 not in [g for g in groups if g > 1]
    assert sum(g > 1 for g in groups) == 6


@pytest.mark.parametrize(("name", "few"), [("Inception", 4), ("MultiRes", 3)])
def test_too_few_channels_are_refused(name: str, few: int) -> None:
    plans = plans_of("2d")
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [2, 4, 8, 8]
    with pytest.raises(ValueError, match=rf"{name} divides the channels of each stage among {few} parts.* has 2"):
        built(name, plans, "2d")


def test_bottleneck_blocks_are_refused() -> None:
    plans = plans_of("2d", "ResidualEncoderUNet")
    architecture = plans["configurations"]["2d"]["architecture"]
    architecture["arch_kwargs"] |= {
        "block": "dynamic_network_architectures.building_blocks.residual.BottleneckD",
        "bottleneck_channels": [2, 2, 2, 2],
    }
    architecture["_kw_requires_import"].append("block")
    with pytest.raises(ValueError, match=r"encoder\.stages\.0 is made of BottleneckD"):
        built("Dense", plans, "2d")
