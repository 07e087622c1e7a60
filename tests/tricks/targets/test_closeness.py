import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nnunet_tricks.tricks.targets.closeness import closeness


@given(
    array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=12).flatmap(
        lambda shape: arrays(np.int16, shape, elements=st.sampled_from([0, 0, 1, 2]))
    )
)
def test_it_lies_between_0_and_1_and_is_1_next_to_every_border(kinds: np.ndarray) -> None:
    close = closeness(kinds, (3.0, 1.0, 1.0)[: kinds.ndim])
    assert close.min() >= 0
    assert close.max() <= 1
    for axis in range(kinds.ndim):
        first, second = np.moveaxis(kinds, axis, 0)[:-1], np.moveaxis(kinds, axis, 0)[1:]
        at_a_border = (first != second) & (first > 0)
        np.testing.assert_array_equal(np.moveaxis(close, axis, 0)[:-1][at_a_border], 1)


def test_an_empty_patch_and_a_full_one_have_no_border() -> None:
    for value in (0, 1):
        assert not closeness(np.full((5, 5), value), (1, 1)).any()
