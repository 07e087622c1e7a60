"""Labels on their image's grid: every order of the axes, labels without geometry, and ambiguous labels."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from dataset_conversion import geometry
from dataset_conversion.errors import Refused

ORDERS = [
    np.array(list(zip(axes, flips, strict=True)), dtype=float)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]
CUBE = np.arange(5**3, dtype=np.uint8).reshape(5, 5, 5)


def placed(edges, origin):
    affine = np.diag([*edges, 1.0])
    affine[:3, 3] = origin
    return affine


@pytest.mark.parametrize("edges", [(1, 1, 1), (-1, -1, 1), (0.7, 0.7, 0.7), (1, 1, 2.5)])
@pytest.mark.parametrize("origin", [(0, 0, 0), (-3, 4, 10), (0.5, 0, 0)])
def test_a_label_with_a_true_header_is_aligned_in_all_48_orders_or_refused(edges, origin):
    label = placed(edges, origin)
    for order in ORDERS:
        # The image is the same block in another order of voxels.
        image = label @ inv_ornt_aff(order, CUBE.shape)
        # A header that may also mean no geometry: unit matrix, and the order leaves the origin at 0.
        if abs(edges[0]) == edges[2] == 1 and not any(origin) and np.all(order[:, 1] == 1) and order is not ORDERS[0]:
            with pytest.raises(Refused, match="unit matrix with origin 0"):
                geometry.align(image, CUBE.shape, label, CUBE.shape)
            continue
        alignment = geometry.align(image, CUBE.shape, label, CUBE.shape)
        np.testing.assert_array_equal(alignment.apply(CUBE), apply_orientation(CUBE, order))


def test_a_unit_matrix_that_fits_nowhere_stands_for_no_geometry():
    image = placed((0.8, 0.8, 3), (5, 6, 7))
    assert "no real geometry" in geometry.align(image, CUBE.shape, np.eye(4), CUBE.shape).note
    with pytest.raises(Refused, match="nothing says how"):
        geometry.align(image, CUBE.shape, np.eye(4), (5, 5, 4))


def align(image, label, **placed_or_not):
    return geometry.align(image, CUBE.shape, label, CUBE.shape, **placed_or_not)


def test_without_orientation_the_edges_must_fit():
    image = placed((0.8, 0.8, 3), (5, 6, 7))
    guess = nibabel.Nifti1Header()
    guess.set_data_shape(CUBE.shape)
    guess["pixdim"][1:4] = [0.8, 0.8, 3]
    label = guess.get_base_affine()
    assert "no orientation" in align(image, label, label_placed=False).note
    # The same numbers with an orientation are a contradiction.
    with pytest.raises(Refused, match="different places"):
        align(image, label)
    with pytest.raises(Refused, match="voxel edges"):
        align(image, placed((3, 0.8, 0.8), (0, 0, 0)), label_placed=False)
    with pytest.raises(Refused, match="no orientation in its header but its label has another"):
        align(label, image, image_placed=False)
    assert align(label, label, image_placed=False, label_placed=False).note == ""
    with pytest.raises(Refused, match="neither image nor label says"):
        align(np.eye(4), placed((-1, 1, 1), (9, 9, 9)), image_placed=False, label_placed=False)
