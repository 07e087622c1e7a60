from copy import deepcopy
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.nnunet.plans_file import resolve
from nnunet_tricks.planning.small import MIN_EDGE, MIN_STAGES, VOXELS, check_name, small_configuration


def hand_made(patch: list[int], strides: list[list[int]], *, residual: bool = False) -> dict[str, Any]:
    """Plans as nnU-Net writes them, of a chosen size."""
    plans = tiny_plans("Dataset501_Test", flat=len(patch) == 2, intensities={})
    configuration = plans["configurations"]["2d" if len(patch) == 2 else "3d_fullres"]
    kwargs = configuration["architecture"]["arch_kwargs"]
    stages = len(strides)
    kwargs |= {
        "n_stages": stages,
        "features_per_stage": [min(32 * 2**stage, 320) for stage in range(stages)],
        "kernel_sizes": [[3] * len(patch)] * stages,
        "strides": strides,
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
    }
    if residual:
        configuration["architecture"]["network_class_name"] = (
            "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
        )
        kwargs["n_blocks_per_stage"] = [1, 3, 4, 6, 6, 6, 6][:stages]
        del kwargs["n_conv_per_stage"]
    configuration |= {"patch_size": patch, "batch_size": 9}
    return {"configurations": {"base": configuration}}


@st.composite
def planned(draw: st.DrawFn) -> dict[str, Any]:
    """Patches and strides as nnU-Net's planner makes them: pooled while four voxels remain."""
    dimensions = draw(st.sampled_from([2, 3]))
    edges = [draw(st.integers(16, 320)) for _ in range(dimensions)]
    strides = [[1] * dimensions]
    while any(edge >= 2 * MIN_EDGE for edge in edges) and len(strides) < 7:
        step = [2 if edge >= 2 * MIN_EDGE else 1 for edge in edges]
        edges = [edge // by for edge, by in zip(edges, step, strict=True)]
        strides.append(step)
    patch = [edge * prod(axis) for edge, axis in zip(edges, zip(*strides, strict=True), strict=True)]
    return hand_made(patch, strides)


@given(planned())
def test_every_planned_network_has_a_small_one_that_fits_its_patch(plans: dict[str, Any]) -> None:
    before = deepcopy(plans)
    small = small_configuration(plans, "base")
    assert plans == before
    base, patch = plans["configurations"]["base"], small["patch_size"]
    kwargs = small["architecture"]["arch_kwargs"]
    assert all(ours <= theirs for ours, theirs in zip(patch, base["patch_size"], strict=True))
    assert prod(patch) <= VOXELS[len(patch)]
    assert MIN_STAGES <= kwargs["n_stages"] == len(kwargs["strides"]) == len(kwargs["features_per_stage"])
    for edge, axis in zip(patch, zip(*kwargs["strides"], strict=True), strict=True):
        assert edge % prod(axis) == 0
        assert prod(axis) == 1 or edge // prod(axis) >= MIN_EDGE
    assert kwargs["features_per_stage"][0] == 8
    assert small["batch_size"] == 2


@pytest.mark.parametrize(
    ("residual", "patch", "strides"),
    [
        (False, [128, 128, 128], [[1, 1, 1], *[[2, 2, 2]] * 5]),
        (True, [20, 320, 256], [[1, 1, 1], [1, 2, 2], [1, 2, 2], *[[2, 2, 2]] * 2, [1, 2, 2], [1, 2, 2]]),
        (False, [512, 448], [[1, 1], *[[2, 2]] * 6]),
        (True, [512, 448], [[1, 1], *[[2, 2]] * 6]),
    ],
)
def test_nnunet_builds_the_network_and_it_takes_the_patch(
    residual: bool, patch: list[int], strides: list[list[int]]
) -> None:
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = hand_made(patch, strides, residual=residual)
    plans["configurations"]["base_small"] = small_configuration(plans, "base")
    small = PlansManager(plans).get_configuration("base_small")
    assert small.data_identifier == PlansManager(plans).get_configuration("base").data_identifier
    assert small.configuration == resolve(plans, "base_small")
    network = get_network_from_plans(
        small.network_arch_class_name,
        small.network_arch_init_kwargs,
        small.network_arch_init_kwargs_req_import,
        1,
        2,
        deep_supervision=True,
    )
    with torch.no_grad():
        levels = network(torch.zeros(1, 1, *small.patch_size))
    assert list(levels[0].shape[2:]) == small.patch_size
    assert len(levels) >= 2  # nnU-Net gives the last one no weight


def test_a_patch_of_ones_own() -> None:
    plans = hand_made([24, 64, 64], [[1, 1, 1], [2, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2]])
    small = small_configuration(plans, "base", patch_size=[16, 32, 32])
    assert small["patch_size"] == [16, 32, 32]
    assert small["architecture"]["arch_kwargs"]["features_per_stage"] == [8, 16, 32, 64]
    with pytest.raises(ValueError, match=r"\[17, 32, 32\] does not suit.*\[16, 32, 32\]"):
        small_configuration(plans, "base", patch_size=[17, 32, 32])
    with pytest.raises(ValueError, match=r"smallest that can be is \[16, 16, 16\]"):
        small_configuration(plans, "base", patch_size=[2, 8, 8])
    with pytest.raises(ValueError, match="has 2 axes"):
        small_configuration(plans, "base", patch_size=[32, 32])


def test_the_first_stage_of_a_cascade_predicts_for_no_second_one() -> None:
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    plans["configurations"]["3d_lowres"]["patch_size"] = [16, 32, 32]
    assert small_configuration(plans, "3d_lowres")["next_stage"] is None
    plans["configurations"]["3d_fullres"]["patch_size"] = [16, 32, 32]
    assert "next_stage" not in small_configuration(plans, "3d_fullres")


def test_other_networks_are_refused() -> None:
    plans = hand_made([64, 64, 64], [[1, 1, 1], *[[2, 2, 2]] * 4])
    architecture = plans["configurations"]["base"]["architecture"]
    architecture["network_class_name"] = "somebody.nets.Mamba"
    with pytest.raises(ValueError, match=r"'Mamba'.*PlainConvUNet and ResidualEncoderUNet.*--from"):
        small_configuration(plans, "base")
    del plans["configurations"]["base"]["architecture"]
    with pytest.raises(ValueError, match="old nnU-Net"):
        small_configuration(plans, "base")


@pytest.mark.parametrize("name", ["", "a__b", "a/b", ".hidden", "two words"])
def test_names_that_folders_cannot_have(name: str) -> None:
    with pytest.raises(ValueError, match="will not do"):
        check_name(name)
