import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.training.class_balance import effective_number_weights

COUNTS = st.lists(st.integers(1, 10**9), min_size=1, max_size=6)


@given(COUNTS, st.floats(1e-6, 1 - 1e-12))
def test_is_cuis_formula_scaled_to_a_mean_of_one(counts: list[int], beta: float) -> None:
    exact = [(1 - np.longdouble(beta)) / -np.expm1(n * np.log(np.longdouble(beta))) for n in counts]
    expected = np.array(exact) / np.mean(exact)
    np.testing.assert_allclose(effective_number_weights(counts, beta), expected.astype(float), rtol=1e-6)


@given(COUNTS)
def test_the_limits_are_all_alike_and_inverse_frequency(counts: list[int]) -> None:
    assert effective_number_weights(counts, 0) == (1.0,) * len(counts)
    inverse = 1 / np.array(counts)
    np.testing.assert_allclose(effective_number_weights(counts, 1), inverse / inverse.mean())


@given(COUNTS, st.floats(0, 1))
def test_rarer_classes_never_weigh_less(counts: list[int], beta: float) -> None:
    weights = np.array(effective_number_weights(counts, beta))
    ordered = weights[np.argsort(counts)]
    assert (np.diff(ordered) <= 1e-9 * ordered[:-1]).all()


def test_a_class_without_voxels_weighs_nothing_and_shifts_nothing() -> None:
    assert effective_number_weights([900, 0, 100], 1) == pytest.approx((0.2, 0, 1.8))
    assert effective_number_weights([0, 0], 1) == (0, 0)
