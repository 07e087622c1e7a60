"""The control: planned networks that are wider."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nnunet_tricks.tricks.network.blocks.wider import factors, widened
from tests.tricks.network.blocks.planned import KINDS, SIZES, built, plans_of

REAL = [32, 64, 128, 256, 320, 320]


def size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@given(st.lists(st.integers(1, 80), min_size=1, max_size=6), st.floats(0.01, 16))
def test_widths_are_multiples_and_grow_with_the_factor(features: list[int], factor: float) -> None:
    wide = widened(features, factor)
    assert all(width >= 1 for width in wide)
    assert all(not width % 8 for width in widened([8 * width for width in features], factor))
    assert all(a <= b for a, b in zip(wide, widened(features, 1.5 * factor), strict=True))
    assert widened(features, 1.0) == features


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.floats(0.01, 3))
def test_between_two_factors_nothing_changes(features: list[int], factor: float) -> None:
    below = max(known for known in factors(features, 4.0) if known <= factor)
    assert widened(features, below) == widened(features, factor)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("configuration", SIZES)
def test_the_number_of_parameters_is_the_nearest(kind: str, configuration: str) -> None:
    plans = plans_of(configuration, kind)
    before = deepcopy(plans)
    planned, wide = size(built("", plans, configuration)), built("Wider_x2", plans, configuration)
    assert plans == before
    features = plans["configurations"][configuration]["architecture"]["arch_kwargs"]["features_per_stage"]
    sizes = []
    for factor in factors(features, 3.0):
        plans["configurations"][configuration]["architecture"]["arch_kwargs"]["features_per_stage"] = widened(
            features, factor
        )
        sizes.append(size(built("", plans, configuration)))
    assert abs(size(wide) - 2 * planned) == min(abs(count - 2 * planned) for count in sizes)
    assert sizes == sorted(sizes)
    image = torch.rand(1, 1, *SIZES[configuration])
    assert wide(image).shape == (1, 3, *SIZES[configuration])


def test_millions_and_multiples_name_the_same_networks() -> None:
    plans = plans_of("2d")
    settings = plans["configurations"]["2d"]["architecture"]["arch_kwargs"]
    settings["features_per_stage"] = REAL[:4]
    planned = size(built("", plans, "2d"))
    wide = built("Wider_x4", plans, "2d")
    # Four times the parameters is twice the channels, but for biases and norm layers.
    assert wide.encoder.output_channels == [2 * width for width in REAL[:4]]
    assert size(wide) == pytest.approx(4 * planned, rel=0.01)
    millions = f"{4 * planned / 1e6:.3f}".replace(".", "p").rstrip("0")
    assert str(built(f"Wider_params{millions}", plans, "2d")) == str(wide)
    assert size(built("Wider_x0p5", plans, "2d")) == pytest.approx(planned / 2, rel=0.05)


def test_as_many_parameters_as_planned_are_the_planned_network_bit_for_bit() -> None:
    plans = plans_of("3d_fullres")
    mine, plain = built("Wider_x1", plans, "3d_fullres"), built("", plans, "3d_fullres")
    image = torch.rand(1, 1, *SIZES["3d_fullres"])
    assert torch.equal(mine(image), plain(image))


def test_it_stands_beside_norms_and_other_parts() -> None:
    plans = plans_of("2d")
    network = built("GroupNorm_IFECurvature_Wider_x3", plans, "2d")
    image = torch.rand(1, 1, 32, 32)
    assert network(image).shape == (1, 3, 32, 32)
    assert network.encoder.output_channels > built("", plans, "2d").encoder.output_channels


def test_what_cannot_be_is_refused() -> None:
    plans = plans_of("2d")
    with pytest.raises(ValueError, match=r"Wider is to have 50 million parameters, and .* from .* to .* million"):
        built("Wider_params50", plans, "2d")
    del plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"]
    with pytest.raises(ValueError, match="Wider scales features_per_stage"):
        built("Wider", plans, "2d")
