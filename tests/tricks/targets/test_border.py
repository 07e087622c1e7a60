import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion, distance_transform_edt, generate_binary_structure, label

from nnunet_tricks.tricks.targets.border import border_weights


def _transcribed(kinds: np.ndarray, edges: tuple[float, ...], border: float, sigma: float) -> np.ndarray:
    """U-Net's formula by scipy, each object over the whole image."""
    corners = generate_binary_structure(kinds.ndim, kinds.ndim)
    distances = []
    for kind in np.unique(kinds[kinds > 0]):
        numbers, objects = label(kinds == kind, corners)
        for number in range(1, objects + 1):
            mask = numbers == number
            if not mask.all():
                distances.append(
                    distance_transform_edt(~(mask & ~binary_erosion(mask, corners, border_value=1)), edges)
                )
    if len(distances) < 2:
        return np.zeros(kinds.shape)
    nearest = np.sort(distances, axis=0)
    return border * np.exp(-((nearest[0] + nearest[1]) ** 2) / (2 * sigma**2))


@given(
    array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=14).flatmap(
        lambda shape: arrays(np.int16, shape, elements=st.sampled_from([0, 0, 0, 0, 1, 2]))
    ),
    st.sampled_from([1.0, 3.0]),
)
def test_it_is_u_nets_formula(kinds: np.ndarray, sigma: float) -> None:
    edges = (1.6, 1.25, 0.5)[: kinds.ndim]
    edges = tuple(np.array(edges) / np.prod(edges) ** (1 / kinds.ndim))
    expected = _transcribed(kinds, edges, 10, sigma)
    np.testing.assert_allclose(border_weights(kinds, edges, border=10, sigma=sigma), expected, atol=1e-4)


def test_touching_instances_of_one_class_are_told_apart_by_their_kinds() -> None:
    two = np.zeros((9, 12), np.int16)
    two[2:7, 2:6], two[2:7, 6:10] = 1, 1
    one_object = border_weights(two, (1, 1), border=10, sigma=5)
    two[2:7, 6:10] = 4
    two_objects = border_weights(two, (1, 1), border=10, sigma=5)
    assert not one_object.any()
    assert two_objects.max() == pytest.approx(10 * np.exp(-1 / 50))
    assert two_objects[4, 5] == two_objects.max()


def test_objects_out_of_each_others_reach_have_no_weight_and_change_none() -> None:
    far = np.zeros((10, 90), np.int16)
    far[3:7, 3:6], far[3:7, 60:63], far[3:7, 66:69] = 1, 1, 1
    weights = border_weights(far, (1, 1), border=10, sigma=1)
    assert not weights[:, :50].any()
    np.testing.assert_array_equal(weights[:, 50:], border_weights(far[:, 50:], (1, 1), border=10, sigma=1))
    assert weights.any()
