"""Label maps of deep supervision beside batchgeneratorsv2's own."""

import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.training.resampling.exact_levels import ExactLevelsTransform

SCALE = st.sampled_from([1, 1.0, 0.5, 0.25, 1 / 3, 0.3, 0.7, 0.125, 1.5])


@given(
    size=st.lists(st.integers(4, 21), min_size=2, max_size=3),
    scales=st.lists(st.one_of(SCALE, st.lists(SCALE, min_size=3, max_size=3)), min_size=1, max_size=4),
    kind=st.sampled_from([torch.int16, torch.uint8, torch.int8, torch.bool, torch.int32, torch.float32]),
    turned=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_they_are_the_same(
    size: list[int], scales: list[float | list[float]], kind: torch.dtype, turned: bool, seed: int
) -> None:
    levels = [scale[: len(size)] if isinstance(scale, list) else scale for scale in scales]
    theirs = DownsampleSegForDSTransform(levels)
    ours = ExactLevelsTransform.in_place_of(theirs)
    assert ours is not None
    labels = torch.randint(-3, 90, (2, *size), generator=torch.Generator().manual_seed(seed)).to(kind)
    if turned:
        labels = labels.flip(1).transpose(1, 2).contiguous().transpose(1, 2)
    mine, expected = outcome(ours, labels), outcome(theirs, labels)
    if isinstance(expected, str):
        assert mine == expected
        return
    for level, other in zip(mine, expected, strict=True):
        assert level.dtype == other.dtype
        assert torch.equal(level, other)


def outcome(transform: DownsampleSegForDSTransform, labels: torch.Tensor) -> list[torch.Tensor] | str:
    """The levels, or what is raised: levels without voxels are refused."""
    try:
        made: list[torch.Tensor] = transform(segmentation=labels)["segmentation"]
    except RuntimeError as error:
        return str(error)
    return made


def test_a_level_of_full_size_is_the_map_itself() -> None:
    ours = ExactLevelsTransform.in_place_of(DownsampleSegForDSTransform([[1, 1], 0.5]))
    assert ours is not None
    labels = torch.zeros(1, 4, 4, dtype=torch.int16)
    full, half = ours(segmentation=labels)["segmentation"]
    assert full is labels
    assert half.is_contiguous()


def test_what_is_not_known_is_left_to_batchgeneratorsv2() -> None:
    later = DownsampleSegForDSTransform([1])
    later.mode = "area"
    assert ExactLevelsTransform.in_place_of(later) is None
