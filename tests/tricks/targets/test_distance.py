import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion, distance_transform_edt, generate_binary_structure

from nnunet_tricks.tricks.targets.distance import signed_distance, signed_distance_in_voxels

MASKS = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9).flatmap(lambda shape: arrays(bool, shape))


@given(MASKS, st.lists(st.sampled_from([0.5, 0.8, 1.0, 5.0]), min_size=3, max_size=3))
def test_is_scipys_distance_to_the_border(mask: np.ndarray, spacing: list[float]) -> None:
    edges = spacing[: mask.ndim]
    distances = signed_distance(mask, edges)
    if not mask.any() or mask.all():
        assert not distances.any()
        return
    corners = generate_binary_structure(mask.ndim, mask.ndim)
    border = mask & ~binary_erosion(mask, corners, border_value=1)
    outside = distance_transform_edt(~mask, sampling=edges)
    inside = distance_transform_edt(~border, sampling=edges)
    np.testing.assert_allclose(distances, np.where(mask, -inside, outside), atol=1e-4)


def test_in_voxels_it_does_not_change_with_the_unit() -> None:
    mask = np.zeros((5, 9, 9), bool)
    mask[2, 3:6, 3:6] = True
    fine, coarse = signed_distance_in_voxels(mask, (5, 0.5, 0.5)), signed_distance_in_voxels(mask, (50, 5, 5))
    np.testing.assert_allclose(fine, coarse, rtol=1e-5)
    assert fine[3, 4, 4] == pytest.approx(5 / (5 * 0.5 * 0.5) ** (1 / 3), rel=1e-5)
