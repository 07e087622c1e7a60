"""Labels removed beside batchgeneratorsv2's own removal."""

import torch
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.training.resampling.exact_removal import ExactRemovalTransform


@given(
    value=st.integers(-3, 4),
    other=st.integers(-3, 8),
    up=st.booleans(),
    lowest=st.integers(-3, 3),
    kind=st.sampled_from([torch.int16, torch.int8, torch.int32, torch.int64, torch.float32]),
    channels=st.sampled_from([None, 0, [1], (0, 1)]),
    seed=st.integers(0, 1000),
)
def test_they_are_the_same(
    value: int,
    other: int,
    up: bool,
    lowest: int,
    kind: torch.dtype,
    channels: int | list[int] | tuple[int, ...] | None,
    seed: int,
) -> None:
    theirs = RemoveLabelTransform(value, value + 1 if up else other, channels)
    ours = ExactRemovalTransform.in_place_of(theirs)
    assert ours is not None
    labels = torch.randint(lowest, lowest + 5, (2, 5, 6), generator=torch.Generator().manual_seed(seed)).to(kind)
    mine, expected = labels.clone(), labels.clone()
    assert ours(segmentation=mine)["segmentation"] is mine
    assert theirs(segmentation=expected)["segmentation"] is expected
    assert torch.equal(mine, expected)


def test_the_largest_number_of_a_type_stays() -> None:
    labels = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    ours = ExactRemovalTransform.in_place_of(RemoveLabelTransform(-1, 0))
    assert ours is not None
    assert ours(segmentation=labels)["segmentation"].eq(255).all()


def test_a_map_without_voxels_stays_one() -> None:
    ours = ExactRemovalTransform.in_place_of(RemoveLabelTransform(-1, 0))
    assert ours is not None
    assert ours(segmentation=torch.empty(1, 0, 3, dtype=torch.int16))["segmentation"].shape == (1, 0, 3)


def test_what_is_not_known_is_left_to_batchgeneratorsv2() -> None:
    later = RemoveLabelTransform(-1, 0)
    later.soft = True
    assert ExactRemovalTransform.in_place_of(later) is None
