import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import label
from skimage.morphology import skeletonize

from nnunet_tricks.tricks.targets.skeleton import TUBE, tubed_skeleton


@given(array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=12).flatmap(lambda shape: arrays(bool, shape)))
def test_it_lies_within_the_object_and_holds_the_skeleton(mask: np.ndarray) -> None:
    tube = tubed_skeleton(mask, (1.0,) * mask.ndim)
    assert set(np.unique(tube)) <= {0, 1}
    assert not tube[~mask].any()
    if mask.any():
        assert tube[skeletonize(mask) > 0].all()


@pytest.mark.parametrize("shape", [(40, 21), (40, 21, 21)])
def test_a_rod_keeps_its_length_and_loses_its_width(shape: tuple[int, ...]) -> None:
    rod = np.zeros(shape, bool)
    rod[2:-2, 3:-3] = True
    tube = tubed_skeleton(rod, (1.0,) * len(shape)) > 0
    assert tube.any(axis=tuple(range(1, len(shape)))).sum() > 20
    middle = tube[20]
    assert 1 <= middle.sum() <= (2 * TUBE + 1) ** (len(shape) - 1)
    assert label(tube)[1] == 1


@given(array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=9).flatmap(lambda shape: arrays(bool, shape)))
def test_nothing_around_an_object_changes_its_skeleton(mask: np.ndarray) -> None:
    spacing = (1.0,) * mask.ndim
    wide = np.pad(mask, 4)
    inner = tuple(slice(4, -4) for _ in mask.shape)
    np.testing.assert_array_equal(tubed_skeleton(wide, spacing)[inner], tubed_skeleton(mask, spacing))
