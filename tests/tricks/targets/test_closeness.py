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


def test_a_class_of_nothing_but_border_is_close_everywhere() -> None:
    kinds = np.zeros((50, 55), np.int16)
    kinds[18, 34:36], kinds[24, 44:46], kinds[22:24, 43:46] = 1, 1, 2
    close = closeness(kinds, (1.3, 2.5))
    np.testing.assert_array_equal(close[kinds == 1], 1)


@given(
    array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=12).flatmap(
        lambda shape: arrays(np.int16, shape, elements=st.sampled_from([0, 0, 1, 2]))
    )
)
def test_boxes_around_classes_change_nothing(kinds: np.ndarray) -> None:
    spacing = (2.5, 0.8, 1.3)[: kinds.ndim]
    # The other way to the same, which has no boxes: all is annotated.
    expected = closeness(kinds, spacing, np.ones(kinds.shape, bool))
    np.testing.assert_allclose(closeness(kinds, spacing), expected, atol=1e-5)
