"""Ours beside batchgeneratorsv2's, from the same random numbers: all that comes out is the same to the last bit."""

from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from hypothesis import event, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.resampling.exact_spatial import ExactSpatialTransform
from nnunet_tricks.training.resampling.fingerprint import reproduced

INTEGERS = (torch.int16, torch.uint8, torch.int8, torch.int32, torch.int64)
CHOOSES_TIES = hasattr(SpatialTransform((2, 2), 0, random_crop=False), "seg_tiebreak")
"""Releases before 0.3.6 have no choice."""


def quarter_turn(*_: Any, **__: Any) -> float:
    """An angle with which points fall on voxels, or between two."""
    return float(np.random.randint(4)) * np.pi / 2


def simple_scale(*_: Any, **__: Any) -> float:
    return float(np.random.choice([0.5, 1, 1.5, 2]))


@st.composite
def label_maps(draw: st.DrawFn, source: tuple[int, ...]) -> Tensor:
    """Blocks of labels, in one channel or in more."""
    kind = draw(st.sampled_from((*INTEGERS, torch.float32)))
    low = draw(st.sampled_from([-2, -1, 0, 1, 7]))
    step = draw(st.sampled_from([1, 1, 3, 150, 40_000]))
    block = draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    channels = []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.sampled_from([1, 2, 3, 4, 12]))
        coarse = random.integers(0, count, [-(-side // block) for side in source])
        for axis in range(len(source)):
            coarse = coarse.repeat(block, axis)
        channels.append((low + step * coarse)[tuple(slice(side) for side in source)])
    labels = torch.from_numpy(np.stack(channels)).to(kind)
    # As a view whose voxels do not follow each other.
    return labels.transpose(1, 2).contiguous().transpose(1, 2) if draw(st.booleans()) else labels


@st.composite
def situations(draw: st.DrawFn, **fixed: Any) -> tuple[SpatialTransform, Tensor]:
    dimensions = draw(st.sampled_from([2, 3]))
    side = st.integers(2, 34) if dimensions == 2 else st.integers(2, 15)
    patch, source = (tuple(draw(side) for _ in range(dimensions)) for _ in range(2))
    transform = SpatialTransform(
        patch,
        draw(st.sampled_from([0, 3])),
        random_crop=draw(st.booleans()),
        p_elastic_deform=draw(st.sampled_from([0, 0, 1])),
        elastic_deform_magnitude=(0, 4),
        p_rotation=draw(st.sampled_from([0, 1])),
        rotation=draw(st.sampled_from([(-0.5, 0.5), (-np.pi, np.pi), quarter_turn])),
        p_scaling=draw(st.sampled_from([0, 1])),
        scaling=draw(st.sampled_from([(0.7, 1.4), (0.2, 3.0), simple_scale])),
        p_synchronize_scaling_across_axes=draw(st.sampled_from([0, 1])),
        **{
            "bg_style_seg_sampling": draw(st.booleans()),
            "border_mode_seg": draw(st.sampled_from(["constant", "constant", "zeros", "border", "reflection"])),
            "padding_value_seg": draw(st.sampled_from([-1, 0, 2, 0.5, 255])),
            "mode_seg": draw(st.sampled_from(["bilinear", "bilinear", "bilinear", "nearest"])),
            "align_corners": draw(st.sampled_from([False, False, False, True])),
            **fixed,
        },
    )
    if CHOOSES_TIES:
        transform.seg_tiebreak = draw(st.sampled_from(["nearest", "nearest", "lowest", "highest"]))
    return transform, draw(label_maps(source))


def outcome(transform: SpatialTransform, labels: Tensor, seed: int) -> tuple[Any, ...]:
    """What comes out or is raised, and the random number that comes next."""
    seed_everything(seed)
    image = torch.randn(2, *labels.shape[1:])
    try:
        done = transform(image=image, segmentation=labels.clone(), regression_target=image.clone())
    except Exception as error:
        return type(error), str(error)
    drawn = torch.tensor([np.random.rand(), torch.rand(1).item()])
    return done["image"], done["segmentation"], done["regression_target"], drawn


def assert_the_same(transform: SpatialTransform, labels: Tensor, seed: int) -> None:
    kind = reproduced()
    assert kind is not None
    ours = kind.in_place_of(transform)
    event("ours" if ours else "left to batchgeneratorsv2")
    if ours is None:
        return
    before = labels.clone()
    for mine, theirs in zip(outcome(ours, labels, seed), outcome(transform, labels, seed), strict=True):
        if isinstance(mine, Tensor):
            assert mine.dtype == theirs.dtype
            assert mine.is_contiguous() == theirs.is_contiguous()
            assert torch.equal(mine, theirs)
        else:
            assert mine == theirs
    assert torch.equal(labels, before)


@settings(max_examples=150)
@given(situation=situations(), seed=st.integers(0, 1000))
def test_everything_is_the_same_to_the_last_bit(situation: tuple[SpatialTransform, Tensor], seed: int) -> None:
    assert_the_same(*situation, seed)


@settings(max_examples=100)
@given(
    situation=situations(
        border_mode_seg="constant",
        padding_value_seg=-1,
        mode_seg="bilinear",
        align_corners=False,
        bg_style_seg_sampling=False,
    ),
    seed=st.integers(0, 1000),
)
def test_so_it_is_as_nnunet_sets_it_up(situation: tuple[SpatialTransform, Tensor], seed: int) -> None:
    assert_the_same(*situation, seed)


@pytest.mark.parametrize(
    "setting",
    [
        {"mode_seg": "nearest"},
        {"border_mode_seg": "border"},
        {"border_mode_seg": "reflection"},
        {"align_corners": True},
        {"border_mode_seg": "constant", "padding_value_seg": 0.5},
    ],
    ids=str,
)
def test_settings_of_which_nothing_is_known_are_left_to_batchgeneratorsv2(setting: dict[str, Any]) -> None:
    kind = reproduced()
    assert kind is not None
    assert kind.in_place_of(SpatialTransform((4, 4), 0, random_crop=False, **setting)) is None


def test_a_subclass_is_left_alone() -> None:
    class Theirs(SpatialTransform):
        pass

    kind = reproduced()
    assert kind is not None
    assert kind.in_place_of(Theirs((4, 4), 0, random_crop=False)) is None


def test_a_setting_that_only_a_later_release_has_is_left_to_it() -> None:
    kind = reproduced()
    assert kind is not None
    later = SpatialTransform((4, 4), 0, random_crop=False, bg_style_seg_sampling=False)
    assert kind.in_place_of(later) is not None
    later.seg_smoothing = 0.1
    assert kind.in_place_of(later) is None


@pytest.mark.parametrize(
    "labels",
    [
        torch.randint(0, 3, (1, 8, 9)).float(),
        torch.randint(0, 3, (1, 8, 9), dtype=torch.uint8),
        torch.full((1, 8, 9), (1 << 24) + 1, dtype=torch.int32),
    ],
    ids=["numbers that need not be whole", "padding that is no label of the type", "labels that float32 does not hold"],
)
def test_maps_of_which_nothing_is_known_are_left_to_batchgeneratorsv2(
    labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = reproduced()
    assert kind is not None
    theirs = SpatialTransform(
        (8, 9), 0, random_crop=False, p_rotation=1, border_mode_seg="constant", padding_value_seg=-1
    )
    theirs.bg_style_seg_sampling = False
    ours = kind.in_place_of(theirs)
    assert isinstance(ours, ExactSpatialTransform)
    monkeypatch.setattr(kind, "_sampled", None)
    assert all(
        torch.equal(mine, other)
        for mine, other in zip(outcome(ours, labels, 0), outcome(theirs, labels, 0), strict=True)
    )


def test_a_patch_far_outside_the_image_is_padding() -> None:
    kind = reproduced()
    assert kind is not None
    theirs = SpatialTransform(
        (6, 5, 7), 0, random_crop=False, bg_style_seg_sampling=False, border_mode_seg="constant", padding_value_seg=-1
    )
    labels = torch.randint(0, 4, (2, 5, 6, 4), dtype=torch.int16)
    ours = kind.in_place_of(theirs)
    assert ours is not None
    for distance in (1.5, 3.0, 1e4, 1e9, 1e30, float("inf"), float("nan")):
        grid = torch.randn(6, 5, 7, 3) / 4 + distance
        what = {"grid": grid, "center_location_in_pixels": None, "affine": None, "elastic_offsets": grid}
        theirs_out = theirs._apply_to_segmentation(labels, **what)
        assert torch.equal(ours._apply_to_segmentation(labels, **what), theirs_out)
