"""Post-processing beside nnU-Net's own, scipy and skimage."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation
from scipy import ndimage
from skimage.morphology import remove_small_objects

from nnunet_tricks.tricks.postprocessing.components import LabelRuns, components
from nnunet_tricks.tricks.postprocessing.planned import planned_steps
from nnunet_tricks.tricks.postprocessing.steps import fill_holes, keep_largest, remove_small

SHAPES = st.sampled_from([(9, 8), (1, 9, 8), (5, 6, 7)])
MAPS = SHAPES.flatmap(lambda shape: arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 1, 2])))
KITS = {"labels": {"background": 0, "kidney": 1, "tumor": 2}}
REGIONS = {"labels": {"background": 0, "kidney": [1, 2], "tumor": [2], "ignore": 3}}


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3, 1), (3, 1, 1), (1, 3)])
def test_three_voxels_in_a_line_are_two_components(shape: tuple[int, ...]) -> None:
    assert components(np.array([True, False, True]).reshape(shape)).sizes.tolist() == [1, 1]


@pytest.mark.parametrize("dense", [0, 10**9], ids=["runs", "cc3d"])
@pytest.mark.parametrize(("connectivity", "rank"), [("face", 1), ("edge", 2), ("corner", 3)])
def test_joined_runs_and_cc3d_are_scipys(
    connectivity: str, rank: int, dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_tricks.tricks.postprocessing.components.DENSE", dense)
    generator = np.random.default_rng(0)
    for shape in ((9, 8), (1, 9, 8), (5, 6, 7), (6, 5, 1), (7, 1, 6), (1, 1, 9), (4, 4, 40)):
        for share in (0.02, 0.2, 0.5, 0.9):
            segmentation = generator.choice(3, shape, p=[1 - share, share / 2, share / 2])
            structure = ndimage.generate_binary_structure(len(shape), min(rank, len(shape)))
            for region in (1, (1, 2)):
                mask = np.isin(segmentation, region)
                numbers, total = ndimage.label(mask, structure)
                parts = LabelRuns.of(segmentation).components(region, connectivity)
                assert len(parts.sizes) == total
                ours = np.zeros(mask.size, int)
                ours[mask.reshape(-1)] = 1 + np.repeat(parts.numbers, parts.lengths)
                assert len(np.unique(np.stack([ours, numbers.reshape(-1)]), axis=1).T) == total + (not mask.all())
                assert np.array_equal(np.bincount(ours, minlength=total + 1)[1:], parts.sizes)
                truth = generator.random(shape) < 0.5
                assert np.array_equal(
                    parts.counts(truth), np.bincount(ours[truth.reshape(-1)], minlength=total + 1)[1:]
                )


@given(MAPS)
def test_keep_largest_is_nnunets_own(segmentation: np.ndarray) -> None:
    before = segmentation.copy()
    for region in (1, 2, (1, 2)):
        assert np.array_equal(
            keep_largest(segmentation, region), remove_all_but_largest_component_from_segmentation(segmentation, region)
        )
    assert np.array_equal(segmentation, before)


@given(MAPS, st.integers(1, 4))
def test_keep_largest_keeps_the_largest_and_what_is_as_large(segmentation: np.ndarray, count: int) -> None:
    result = keep_largest(segmentation, 1, count=count, connectivity="face")
    numbers, total = ndimage.label(segmentation == 1)
    sizes = ndimage.sum_labels(segmentation == 1, numbers, range(1, total + 1))
    bound = np.sort(sizes)[::-1][min(count, total) - 1] if total else 0
    expected = np.isin(numbers, 1 + np.flatnonzero(sizes >= bound))
    assert np.array_equal(result == 1, expected)
    assert np.array_equal(result == 2, segmentation == 2)


@given(MAPS, st.integers(0, 12))
def test_remove_small_is_scikit_images(segmentation: np.ndarray, voxels: int) -> None:
    result = remove_small(segmentation, 1, voxels=voxels, connectivity="face")
    numbers, total = ndimage.label(segmentation == 1)
    sizes = ndimage.sum_labels(segmentation == 1, numbers, range(1, total + 1))
    assert np.array_equal(result == 1, np.isin(numbers, 1 + np.flatnonzero(sizes >= voxels)))
    if voxels:
        expected = remove_small_objects(segmentation == 1, max_size=voxels - 1, connectivity=segmentation.ndim)
        assert np.array_equal(remove_small(segmentation, 1, voxels=voxels) == 1, expected)


@given(MAPS)
def test_holes_are_scipys(segmentation: np.ndarray) -> None:
    mask = segmentation == 1
    filled = fill_holes(segmentation, 1)
    flat = mask.squeeze(0) if mask.shape[0] == 1 else mask
    expected = ndimage.binary_fill_holes(flat).reshape(mask.shape)
    assert np.array_equal(filled == 1, mask | (expected & (segmentation == 0)))
    assert np.array_equal(filled == 2, segmentation == 2)
    assert np.array_equal(fill_holes(filled, 1), filled)


@given(arrays.arrays(np.uint8, (4, 7, 6), elements=st.sampled_from([0, 1, 1])))
def test_holes_by_slice_are_those_of_each_slice(segmentation: np.ndarray) -> None:
    alone = np.stack([fill_holes(plane, 1) for plane in segmentation])
    assert np.array_equal(fill_holes(segmentation, 1, by_slice=True), alone)


def test_a_threshold_above_every_component_removes_the_class() -> None:
    segmentation = np.ones((3, 3, 3), np.uint8)
    assert not remove_small(segmentation, 1, voxels=10**9).any()


def test_an_empty_map_stays_empty() -> None:
    empty = np.zeros((4, 4, 4), np.uint8)
    assert not keep_largest(empty, [1, 2]).any()
    assert not remove_small(empty, 1, voxels=5).any()
    assert not fill_holes(empty, (1, 2)).any()


def test_organs_in_pairs_keep_both() -> None:
    kidneys = np.zeros((1, 4, 20), np.uint8)
    kidneys[0, :, 1:6] = kidneys[0, :, 12:18] = 1
    kidneys[0, 0, 9] = 1
    assert np.count_nonzero(keep_largest(kidneys, 1)) == 24
    assert np.count_nonzero(keep_largest(kidneys, 1, count=2)) == 44


def test_what_is_removed_of_a_tumor_can_become_the_organ_around_it() -> None:
    organ = np.ones((1, 5, 5), np.uint8)
    organ[0, 2, 2] = 2
    (step,) = planned_steps(["tumor:RemoveSmall_voxels2_into1"], KITS)
    assert np.array_equal(step(organ), np.ones_like(organ))


def test_sizes_in_mm3_follow_the_spacing() -> None:
    segmentation = np.zeros((1, 3, 9), np.uint8)
    segmentation[0, 1, 1:4] = 1
    (step,) = planned_steps(["RemoveSmall_volume6"], KITS)
    assert step(segmentation, voxel=2.0).any()
    assert not step(segmentation, voxel=1.9).any()


@pytest.mark.parametrize(
    ("word", "description", "regions"),
    [
        ("KeepLargest", KITS, (1, 2)),
        ("KeepLargest", REGIONS, ((1, 2), (2,))),
        ("kidney:KeepLargest", REGIONS, ((1, 2),)),
        ("foreground:KeepLargest", KITS, ((1, 2),)),
        ("1+2:FillHoles", KITS, ((1, 2),)),
        ("2:RemoveSmall_isic2018", REGIONS, (2,)),
    ],
)
def test_what_a_step_is_done_to(word: str, description: dict[str, object], regions: tuple[object, ...]) -> None:
    (step,) = planned_steps([word], description)
    assert step.regions == regions


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("KeepLargst", "there is no trick 'KeepLargst'"),
        ("KeepLargest_count0", "count of KeepLargest must be a whole number from 1 to 1000, got 0"),
        ("spleen:KeepLargest", "is for 'spleen', and the data set has kidney, tumor, foreground, and the labels 1, 2"),
        ("1+5:KeepLargest", "is for '1\\+5'"),
        ("", "it must name a step"),
        ("KeepLargest_100epochs", "it has more than one step"),
    ],
)
def test_words_that_are_no_step_are_refused(word: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        planned_steps([word], KITS)


def test_refused_by_the_functions() -> None:
    segmentation = np.zeros((2, 2), int)
    with pytest.raises(ValueError, match="count is 0"):
        keep_largest(segmentation, 1, count=0)
    with pytest.raises(ValueError, match="voxels is -1"):
        remove_small(segmentation, 1, voxels=-1)
    with pytest.raises(ValueError, match="connectivity is 'side', and must be one of face, edge, corner"):
        keep_largest(segmentation, 1, connectivity="side")


def test_stored_steps_keep_their_names(tmp_path: Path) -> None:
    steps = planned_steps(["KeepLargest_count2", "RemoveSmall_voxels3", "FillHoles"], KITS)
    stored = pickle.dumps([step.function for step in steps], protocol=0).decode()
    for name in ("keep_largest", "remove_small", "fill_holes"):
        assert f"cnnunet_tricks.tricks.postprocessing.steps\n{name}\n" in stored
