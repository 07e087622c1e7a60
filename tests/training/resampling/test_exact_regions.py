"""Regions beside batchgeneratorsv2's own."""

import torch
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.training.resampling.exact_regions import ExactRegionsTransform

LABELS = st.integers(-2, 300)


@given(
    regions=st.lists(st.one_of(LABELS, st.lists(LABELS, min_size=1, max_size=4)), min_size=1, max_size=4),
    kind=st.sampled_from([torch.int16, torch.uint8, torch.int8, torch.int32, torch.float32]),
    channel=st.sampled_from([0, 1]),
    seed=st.integers(0, 1000),
)
def test_they_are_the_same(regions: list[int | list[int]], kind: torch.dtype, channel: int, seed: int) -> None:
    theirs = ConvertSegmentationToRegionsTransform(regions, channel_in_seg=channel)
    ours = ExactRegionsTransform.in_place_of(theirs)
    assert ours is not None
    labels = torch.randint(-3, 9, (2, 5, 6), generator=torch.Generator().manual_seed(seed)).to(kind)
    mine, expected = ours(segmentation=labels)["segmentation"], theirs(segmentation=labels)["segmentation"]
    assert mine.dtype == expected.dtype
    assert torch.equal(mine, expected)


def test_what_is_not_known_is_left_to_batchgeneratorsv2() -> None:
    later = ConvertSegmentationToRegionsTransform([1])
    later.soft = True
    assert ExactRegionsTransform.in_place_of(later) is None
