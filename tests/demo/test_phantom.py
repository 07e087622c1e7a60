import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_tricks.demo.phantom import KIDNEY, SHAPE, TUMOUR, make_phantom

SEEDS = st.integers(0, 10_000)


@given(SEEDS)
@settings(max_examples=6)
def test_a_seed_is_one_phantom(seed: int) -> None:
    first, again, other = make_phantom(seed), make_phantom(seed), make_phantom(seed + 1)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert first.spacing == again.spacing
    assert not np.array_equal(first.image, other.image)


@given(SEEDS)
@settings(max_examples=20)
def test_anatomy_is_plausible(seed: int) -> None:
    phantom = make_phantom(seed)
    assert phantom.image.shape == phantom.labels.shape == SHAPE
    assert set(np.unique(phantom.labels)) == {0, KIDNEY, TUMOUR}
    z, y, x = phantom.spacing
    assert y == x
    assert 1.4 < z / x < 1.8
    volume = z * y * x / 1000  # ml per voxel
    assert 80 < (phantom.labels == KIDNEY).sum() * volume < 500
    assert 0.5 < (phantom.labels == TUMOUR).sum() * volume < 180
    # One kidney on each side of the spine, both in the half of the back.
    across = np.argwhere(phantom.labels == KIDNEY)
    assert (across[:, 2] < SHAPE[2] / 2).any()
    assert (across[:, 2] >= SHAPE[2] / 2).any()
    assert across[:, 1].mean() > SHAPE[1] / 2


@given(SEEDS)
@settings(max_examples=6)
def test_densities_are_those_of_ct(seed: int) -> None:
    phantom = make_phantom(seed)
    assert phantom.image[:, 0, 0].mean() == pytest.approx(-1000, abs=30)  # air around the body
    kidney = phantom.image[phantom.labels == KIDNEY].mean()
    tumour = phantom.image[phantom.labels == TUMOUR].mean()
    assert 100 < kidney < 200
    assert 20 < tumour < kidney
    inside = phantom.image[8:14, 26:30, 26:30]
    assert inside.std() > 10  # noise


def test_tumours_differ_in_size() -> None:
    sizes = [int((make_phantom(seed).labels == TUMOUR).sum()) for seed in range(12)]
    assert max(sizes) > 5 * min(sizes)
