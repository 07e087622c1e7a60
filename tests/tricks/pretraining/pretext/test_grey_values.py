from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BPoly

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.grey_values import BINS, changed_grey_values, curve, mapped

CPU = torch.device("cpu")
points = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(points, points, st.booleans())
def test_curves_are_monotone_within_0_and_1_and_keep_their_ends(first, second, falling) -> None:
    values = curve(first, second, falling=falling)
    assert len(values) == BINS
    assert values.min() >= 0
    assert values.max() <= 1
    steps = np.diff(values)
    assert (steps <= 0).all() if falling else (steps >= 0).all()
    assert (values[0], values[-1]) == pytest.approx((1, 0) if falling else (0, 1), abs=1e-6)


@pytest.mark.parametrize("control", [(0.1, 0.7), (0.3, 0.3), (0.0, 1.0)])
def test_curves_are_bezier_curves_as_scipy_computes_them(control) -> None:
    # Sorted control values make a curve that is monotone by itself.
    x, y = (BPoly([[0.0], [low], [high], [1.0]], [0, 1]) for low, high in ((0.2, 0.6), control))
    t = np.linspace(0, 1, 50)
    table = curve((0.2, control[0]), (0.6, control[1]))
    assert np.interp(x(t), np.linspace(0, 1, BINS), table) == pytest.approx(y(t), abs=2e-3)


def test_tables_are_read_as_numpy_interpolates() -> None:
    table, values = torch.rand(17), torch.rand(5, 40)
    expected = np.interp(values.numpy(), np.linspace(0, 1, 17), table.numpy())
    assert mapped(values, table).numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("falling", [0, 1])
def test_each_channel_keeps_its_range_and_the_order_of_its_values(falling) -> None:
    image = torch.randn(3, 6, 20, 18) * 7 + 100
    changed = changed_grey_values(image, Chance(1, CPU), falling=falling)
    for before, after in zip(image, changed, strict=True):
        assert after.min() == pytest.approx(float(before.min()), rel=1e-5)
        assert after.max() == pytest.approx(float(before.max()), rel=1e-5)
        steps = after.flatten()[before.flatten().argsort()].diff()
        assert bool((steps <= 1e-4).all() if falling else (steps >= -1e-4).all())
    assert not torch.allclose(image, changed)


def test_a_channel_of_one_value_stays() -> None:
    image = torch.stack((torch.full((8, 8), 3.0), torch.rand(8, 8)))
    changed = changed_grey_values(image, Chance(0, CPU))
    assert torch.equal(changed[0], image[0])
    assert changed.isfinite().all()
