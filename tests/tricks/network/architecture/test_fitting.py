from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.tricks.network.architecture.fitting import cropped, padded, padded_size

sizes = st.lists(st.integers(1, 40), min_size=2, max_size=3)


@given(size=sizes, multiple=st.integers(1, 9), deepest=st.integers(1, 5))
def test_a_padded_size_is_the_smallest_that_fits(size: list[int], multiple: int, deepest: int) -> None:
    whole = padded_size(size, multiple, deepest=deepest)
    assert all(side % multiple == 0 and side >= given for side, given in zip(whole, size, strict=True))
    assert prod(side // multiple for side in whole) >= deepest
    if deepest == 1:
        assert all(side - given < multiple for side, given in zip(whole, size, strict=True))


@given(size=sizes, multiple=st.integers(1, 9))
def test_what_is_padded_and_cropped_is_the_image_itself(size: list[int], multiple: int) -> None:
    image = torch.arange(float(prod(size))).view(1, 1, *size) + 1
    whole = padded(image, padded_size(size, multiple))
    assert torch.equal(cropped(whole, size), image)
    assert whole.count_nonzero() == image.numel()


def test_an_image_that_fits_is_not_copied() -> None:
    image = torch.zeros(2, 3, 32, 64)
    assert padded(image, (32, 64)) is image
    assert cropped(image, (32, 64)) is image


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_every_voxel_of_the_image_is_in_each_level(stride: int) -> None:
    size = (52, 41)
    level = torch.ones(1, 1, *(side // stride for side in padded_size(size, 8)))
    kept = cropped(level, size, stride).shape[2:]
    assert all(stride * (side - 1) < whole <= stride * side for side, whole in zip(kept, size, strict=True))
