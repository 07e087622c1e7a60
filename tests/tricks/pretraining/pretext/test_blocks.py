from __future__ import annotations

from math import ceil, prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.tricks.pretraining.pretext.blocks import block_sides, hidden_blocks, hidden_count
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance

CPU = torch.device("cpu")


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=2, max_size=3),
    st.floats(0.05, 0.95),
    st.integers(0, 99),
)
def test_the_same_share_of_whole_blocks_is_hidden_in_each_patch(axes, ratio, seed) -> None:
    sides = [side for side, _ in axes]
    grid = [count for _, count in axes]
    shape = [side * count for side, count in axes]
    mask = hidden_blocks(3, shape, sides, ratio=ratio, chance=Chance(seed, CPU))
    assert mask.shape == (3, 1, *shape)
    hidden = hidden_count(prod(grid), ratio)
    assert mask.flatten(1).sum(1).tolist() == [hidden * prod(sides)] * 3
    assert abs(hidden - ratio * prod(grid)) <= 1
    # Each block is hidden or shown as a whole.
    for axis, side in enumerate(sides, 2):
        parts = mask.unflatten(axis, (-1, side))
        assert torch.equal(parts.any(axis + 1), parts.all(axis + 1))


def test_blocks_at_the_end_are_cut_off() -> None:
    mask = hidden_blocks(4, (10, 7), (4, 4), ratio=0.5, chance=Chance(0, CPU))
    assert mask.shape == (4, 1, 10, 7)
    assert [int(patch[0, ::4, ::4].sum()) for patch in mask] == [ceil(10 / 4) * ceil(7 / 4) // 2] * 4


def test_patches_differ_and_something_stays_visible() -> None:
    mask = hidden_blocks(8, (8, 8), (4, 4), ratio=0.99, chance=Chance(0, CPU))
    assert bool((~mask).flatten(1).any(1).all())
    assert len({tuple(patch.flatten().tolist()) for patch in mask}) > 1


@pytest.mark.parametrize(
    ("strides", "most", "sides"),
    [
        ([[1, 1], [2, 2], [2, 2], [2, 2], [2, 2], [2, 2]], 16, (16, 16)),
        ([[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2]], 16, (2, 8, 8)),
        ([[1, 1, 1], [2, 2, 2]], 16, (2, 2, 2)),
        ([[1, 1], [2, 2], [2, 2]], 3, (3, 3)),
    ],
)
def test_a_block_is_as_flat_as_voxels_are_thick(strides, most, sides) -> None:
    assert block_sides(strides, most) == sides
