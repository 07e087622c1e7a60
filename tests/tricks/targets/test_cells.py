"""Cells against distances to every object, measured one object at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy.ndimage import label

from nnunet_tricks.tricks.targets.cells import cells
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import map_of_annotated

kinds_of_images = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 0, 1, 2]))
)


@settings(max_examples=60, deadline=None)
@given(kinds_of_images, st.booleans())
def test_each_voxel_is_in_the_cell_of_its_nearest_object(kinds: NDArray[np.uint8], physical: bool) -> None:
    spacing = (3.0, 1.0, 0.7)[-kinds.ndim :]
    made, numbers = cells(kinds, spacing, physical=physical), objects(kinds, spacing)
    np.testing.assert_array_equal(made[numbers > 0], numbers[numbers > 0])
    if not numbers.any():
        assert not made.any()
        return
    # Every voxel is in exactly one cell, and there are as many cells as objects.
    np.testing.assert_array_equal(np.unique(made), np.arange(1, numbers.max() + 1))
    edges = np.array(spacing if physical else (1.0,) * kinds.ndim)
    places = np.argwhere(np.ones(kinds.shape, bool))
    distances = np.stack(
        [
            np.linalg.norm((places[:, None] - np.argwhere(numbers == number)) * edges, axis=2).min(1)
            for number in range(1, int(numbers.max()) + 1)
        ]
    )
    own = distances[made.reshape(-1).astype(int) - 1, np.arange(len(places))]
    np.testing.assert_allclose(own, distances.min(0), atol=1e-5)


def test_spacing_moves_the_border_where_voxels_are_long() -> None:
    kinds = np.zeros((4, 9), np.uint8)
    kinds[3, 4], kinds[0, 0] = 1, 1
    assert cells(kinds, (10, 1))[0, 4] != cells(kinds, (10, 1), physical=True)[0, 4]


def test_objects_are_connected_by_corners() -> None:
    kinds = np.eye(4, dtype=np.uint8)
    assert label(kinds)[1] == 4
    assert (cells(kinds, (1, 1)) == 1).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_nobody_annotated_is_in_no_cell(count: int) -> None:
    kinds = np.zeros((6, 8, 8), np.uint8)
    kinds[2, 1:3, 1:3], kinds[2, 6, 6] = count > 0, count > 1
    annotated = np.zeros(kinds.shape, bool)
    annotated[2], annotated[5] = True, True
    made = map_of_annotated(cells, kinds, (3, 1, 1), annotated, numbers=True)
    assert not made[~annotated].any()
    np.testing.assert_array_equal(np.unique(made[2]), np.arange(1, count + 1) if count else [0])
    np.testing.assert_array_equal(made[5], np.full((8, 8), -(count + 1)))
