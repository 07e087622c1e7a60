"""Blurs beside the convolutions of batchgeneratorsv2, to the last bit."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.noise import gaussian_blur
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform, blur_dimension
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.resampling import exact_blur
from nnunet_tricks.training.resampling.exact_blur import ExactBlurTransform, is_fused, moved_sum


def outcome(transform: GaussianBlurTransform, image: Tensor, seed: int) -> tuple[Tensor, float]:
    """The image that comes out, and the random numbers that come next."""
    seed_everything(seed)
    blurred = transform(image=image.clone())["image"]
    return blurred, float(np.random.rand() + torch.rand(1))


@settings(max_examples=60)
@given(
    size=st.one_of(
        st.lists(st.integers(8, 40), min_size=2, max_size=2), st.lists(st.integers(8, 20), min_size=3, max_size=3)
    ),
    sigma=st.sampled_from([0.4, 0.5, 0.75, 1.0, 2.0]),
    together=st.booleans(),
    timed=st.booleans(),
    special=st.sampled_from([0.0, -0.0, 1e-44, float("inf")]),
    seed=st.integers(0, 100),
)
def test_they_have_the_bits_of_a_convolution(
    size: list[int], sigma: float, together: bool, timed: bool, special: float, seed: int
) -> None:
    theirs = GaussianBlurTransform(sigma, synchronize_channels=together, p_per_channel=0.6 if not together else 1)
    ours = ExactBlurTransform.in_place_of(theirs)
    assert ours is not None
    ours.timed = timed
    image = torch.randn(3, *size, generator=torch.Generator().manual_seed(seed))
    image[..., 3] = special
    (mine, after), (expected, after_theirs) = outcome(ours, image, seed), outcome(theirs, image, seed)
    assert torch.equal(mine.view(torch.int32), expected.view(torch.int32))
    assert after == after_theirs


@pytest.mark.parametrize("size", [(1, 128, 128), (1, 24, 64, 80), (2, 48, 40, 16)], ids=str)
def test_one_of_the_sums_is_known_for_usual_sizes(size: tuple[int, ...]) -> None:
    threads = torch.get_num_threads()
    assert None not in {is_fused(size, count, axis, threads) for axis in range(len(size) - 1) for count in (3, 5, 7)}


@pytest.mark.parametrize("timed", [False, True], ids=["convolution", "timed"])
def test_what_has_no_known_sum_is_left_to_batchgeneratorsv2(monkeypatch: pytest.MonkeyPatch, timed: bool) -> None:
    def other(img: Tensor, sigma: float, dim_to_blur: int, *_: object, **__: object) -> Tensor:
        return blur_dimension(img, sigma, dim_to_blur) + 1

    monkeypatch.setattr(gaussian_blur, "blur_dimension", other)
    theirs = GaussianBlurTransform(0.7, benchmark=timed)
    ours = ExactBlurTransform.in_place_of(theirs)
    assert ours is not None
    is_fused.cache_clear()
    image = torch.randn(1, 9, 8)
    assert torch.equal(outcome(ours, image, 0)[0], outcome(theirs, image, 0)[0])
    assert is_fused((1, 9, 8), 5, 0, torch.get_num_threads()) is None
    is_fused.cache_clear()


def test_images_of_other_types_and_wide_kernels_are_left_to_batchgeneratorsv2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_blur, "moved_sum", None)
    for sigma, kind in ((0.7, torch.float64), (8.0, torch.float32)):
        image = torch.randn(1, 60, 50).to(kind)
        theirs = GaussianBlurTransform(sigma)
        ours = ExactBlurTransform.in_place_of(theirs)
        assert ours is not None
        if kind == torch.float64:
            for transform in (ours, theirs):
                with pytest.raises(RuntimeError, match="type"):
                    outcome(transform, image, 0)
        else:
            assert torch.equal(outcome(ours, image, 0)[0], outcome(theirs, image, 0)[0])


def test_a_patch_narrower_than_the_kernel_is_refused_as_by_batchgeneratorsv2() -> None:
    ours = ExactBlurTransform.in_place_of(GaussianBlurTransform(2.0))
    assert ours is not None
    with pytest.raises(RuntimeError, match="adding size"):
        ours(image=torch.randn(1, 5, 30))


def test_a_setting_that_is_not_known_is_left_to_batchgeneratorsv2() -> None:
    later = GaussianBlurTransform(1.0)
    later.anisotropic = True
    assert ExactBlurTransform.in_place_of(later) is None


def test_an_image_blurred_in_parts_is_the_image_blurred_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.randn(2, 9, 8, 7)
    weights = exact_blur.gaussian(1.0)
    whole = [moved_sum(image, weights, axis, fused=False) for axis in range(3)]
    monkeypatch.setattr(exact_blur, "CHUNK", 50)
    for axis in range(3):
        assert torch.equal(moved_sum(image, weights, axis, fused=False), whole[axis])
