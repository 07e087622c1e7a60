"""Slices with neighbours, as arrays."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.tricks.network.slices.neighbours import NeighbourImage, with_neighbours


@given(st.integers(1, 3), st.integers(1, 6), st.integers(0, 4))
def test_every_slice_has_those_around_it(channels: int, depth: int, slices: int) -> None:
    image = np.random.default_rng(0).random((channels, depth, 3, 4), dtype=np.float32)
    wide = with_neighbours(image, slices)
    padded = np.pad(image, ((0, 0), (slices, slices), (0, 0), (0, 0)), mode="edge")
    for place in range(depth):
        expected = padded[:, place : place + 2 * slices + 1].swapaxes(0, 1).reshape(-1, 3, 4)
        assert (wide[:, place] == expected).all()
    assert wide.dtype == image.dtype


KEYS = st.one_of(
    st.just(slice(None)),
    st.just(...),
    st.tuples(st.just(slice(None)), st.integers(-5, 4)),
    st.tuples(st.slices(6), st.slices(5), st.slices(3)),
    st.tuples(st.integers(0, 5), st.slices(5), st.just(...), st.slices(4)),
)


@given(KEYS, st.integers(1, 2))
def test_what_is_read_is_what_the_whole_array_has(key: object, slices: int) -> None:
    image = np.random.default_rng(0).random((2, 5, 3, 4))
    assert np.array_equal(NeighbourImage(image, slices)[key], with_neighbours(image, slices)[key])
    assert np.array_equal(np.asarray(NeighbourImage(image, slices)), with_neighbours(image, slices))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_nnunets_crop_cuts_it_like_an_array(place: int) -> None:
    image = np.random.default_rng(0).random((1, 5, 6, 6))
    box = [[place, place + 1], [-2, 5], [1, 9]]
    lazy = pickle.loads(pickle.dumps(NeighbourImage(image, 1)))
    assert np.array_equal(crop_and_pad_nd(lazy, box, 0), crop_and_pad_nd(with_neighbours(image, 1), box, 0))


@pytest.mark.parametrize(("shape", "slices"), [((3, 4, 5), 1), ((1, 3, 4, 5), -1)])
def test_what_is_no_volume_is_refused(shape: tuple[int, ...], slices: int) -> None:
    with pytest.raises(ValueError, match=r"image must be \(C, Z, Y, X\) and slices at least 0, got"):
        with_neighbours(np.zeros(shape), slices)
