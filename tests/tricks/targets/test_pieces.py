"""Maps where some voxels are not annotated: what is written or true there changes no annotated voxel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnunet_tricks.tricks.targets.border import border_weights
from nnunet_tricks.tricks.targets.cells import cells
from nnunet_tricks.tricks.targets.closeness import closeness
from nnunet_tricks.tricks.targets.distance import distance_to_the_other_side, signed_distance, signed_distance_in_voxels
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.pieces import MapOfKinds, map_of_annotated
from nnunet_tricks.tricks.targets.skeleton import tubed_skeleton

MAPS: dict[str, MapOfKinds] = {
    "Boundary": signed_distance_in_voxels,
    "Hausdorff": partial(distance_to_the_other_side, power=2),
    "DistanceCE": partial(border_weights, border=10, sigma=2),
    "DistancePenaltyCE": closeness,
    "Blob": objects,
    "CCDice": cells,
    "SkeletonRecall": tubed_skeleton,
}
NUMBERS = ("Blob", "CCDice")
MASKS_ONLY = ("Boundary", "Hausdorff", "SkeletonRecall")
every_map = pytest.mark.parametrize("name", MAPS)


def _made(name: str, kinds: NDArray[np.int32], spacing: tuple[float, ...], annotated: NDArray[np.bool_] | None):
    kinds = kinds > 0 if name in MASKS_ONLY else kinds
    return map_of_annotated(MAPS[name], kinds, spacing, annotated, numbers=name in NUMBERS)


def ball(shape: tuple[int, ...], radius: float, centre: tuple[float, ...] | None = None) -> NDArray[np.bool_]:
    middle = centre or tuple((side - 1) / 2 for side in shape)
    places = np.indices(shape)
    return sum((axis - at) ** 2 for axis, at in zip(places, middle, strict=True)) <= radius**2


def _every(step: int, shape: tuple[int, ...], axis: int = 0) -> NDArray[np.bool_]:
    annotated = np.zeros(shape, bool)
    np.moveaxis(annotated, axis, 0)[step // 2 :: step] = True
    return annotated


def _slices(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    return _every(int(generator.integers(2, 5)), shape, int(generator.integers(len(shape))))


def _strokes(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    annotated = np.zeros(shape, bool)
    for _ in range(4):
        annotated |= ball(shape, generator.uniform(1, 4), tuple(generator.uniform(0, side) for side in shape))
    return annotated


def _hole(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    return ~_strokes(shape, generator)


def _noise(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    return generator.uniform(size=shape) < generator.uniform(0.2, 0.9)


def _truth(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.int32]:
    kinds = np.zeros(shape, np.int32)
    for _ in range(3):
        where = ball(shape, generator.uniform(1, 4), tuple(generator.uniform(0, side) for side in shape))
        kinds[where] = generator.integers(1, 3)
    return kinds


@every_map
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(9, 10), (7, 8, 9)]),
    annotate=st.sampled_from([_slices, _strokes, _hole, _noise]),
)
def test_what_is_not_annotated_changes_nothing(
    name: str, seed: int, shape: tuple[int, ...], annotate: Callable[..., NDArray[np.bool_]]
) -> None:
    generator = np.random.default_rng(seed)
    kinds, annotated, spacing = _truth(shape, generator), annotate(shape, generator), (3.0, 1.0, 0.8)[-len(shape) :]
    made = _made(name, kinds, spacing, annotated)
    for under in (0, 1, 2, generator.integers(0, 3, size=shape)):
        again = _made(name, np.where(annotated, kinds, under).astype(np.int32), spacing, annotated)
        np.testing.assert_array_equal(again, made)
    assert not made[~annotated].any()
    assert np.isfinite(made).all()


@every_map
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from([(9, 10), (7, 8, 9)]))
def test_where_all_is_annotated_it_is_the_map_of_the_patch(name: str, seed: int, shape: tuple[int, ...]) -> None:
    kinds, spacing = _truth(shape, np.random.default_rng(seed)), (3.0, 1.0, 0.8)[-len(shape) :]
    patch = MAPS[name](kinds > 0 if name in MASKS_ONLY else kinds, spacing)
    for annotated in (None, np.ones(shape, bool)):
        np.testing.assert_array_equal(_made(name, kinds, spacing, annotated), patch)


@every_map
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_that_stands_alone_has_the_map_of_its_plane(name: str, axis: int) -> None:
    kinds = ball((15, 15, 15), 6).astype(np.int32) + ball((15, 15, 15), 1.5, (1, 2, 2)) * 2
    spacing, annotated = (3.0, 1.0, 0.8), _every(4, kinds.shape, axis)
    made = np.moveaxis(_made(name, kinds, spacing, annotated), axis, 0)
    in_plane = tuple(edge for number, edge in enumerate(spacing) if number != axis)
    for at in np.flatnonzero(annotated.any(axis=tuple({0, 1, 2} - {axis}))):
        plane = _made(name, np.moveaxis(kinds, axis, 0)[at], in_plane, None)
        if name == "Blob":  # numbers go on from slice to slice
            np.testing.assert_array_equal(np.where(plane > 0, made[at] + made[at].min(), 0), plane)
        elif name == "CCDice":  # so here, where the whole slice is in cells
            np.testing.assert_array_equal(np.where(plane > 0, made[at] - made[at].min() + 1, 0), plane)
        else:
            np.testing.assert_array_equal(made[at], plane)


def test_an_ellipsoid_in_every_fifth_slice() -> None:
    grid = np.indices((40, 48, 48)) - np.array([19.5, 23.5, 23.5])[:, None, None, None]
    kinds = ((grid / np.array([14, 10, 8])[:, None, None, None]) ** 2).sum(0) <= 1
    annotated, spacing = _every(5, kinds.shape), (1.0, 1.0, 1.0)
    labels = kinds.astype(np.int32)
    inside, outside = annotated & kinds, annotated & ~kinds
    planes = [at for at in range(2, 40, 5) if kinds[at].any()]
    phi = np.stack([signed_distance(plane, (1, 1)) for plane in kinds])
    made = _made("Boundary", labels, spacing, annotated)
    np.testing.assert_array_equal(made[annotated], phi[annotated])
    assert made[inside].mean() < -1.5  # a deep miss costs more
    made = _made("Hausdorff", labels, spacing, annotated)
    assert made[inside].mean() > 8
    assert not _made("DistanceCE", labels, spacing, annotated).any()  # no slice has two objects
    close = _made("DistancePenaltyCE", labels, spacing, annotated)
    assert close[inside].mean() < 0.8
    assert close[inside].min() == 0
    numbers = _made("Blob", labels, spacing, annotated)
    assert [len(np.unique(numbers[at][kinds[at]])) for at in planes] == [1] * len(planes)
    skeleton = _made("SkeletonRecall", labels, spacing, annotated)
    assert 0 < skeleton[inside].mean() < 0.8
    assert not skeleton[outside].any()


def test_distances_are_the_largest_that_what_is_annotated_leaves_open() -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        truth, annotated = _truth((9, 10), generator) > 0, _hole((9, 10), generator)
        open_ = np.abs(signed_distance(truth, (1, 1), annotated))
        for under in (False, True, truth):
            closed = np.where(annotated, truth, under)
            outside = annotated & (open_ > 0)
            assert (np.abs(signed_distance(closed, (1, 1)))[outside] <= open_[outside] + 1e-5).all()


def test_a_cut_is_no_border() -> None:
    """A bar from left to right whose right half nobody annotated."""
    bar = np.zeros((13, 30), bool)
    bar[4:9] = True
    annotated = np.ones(bar.shape, bool)
    annotated[:, 15:] = False
    cut, whole = signed_distance(bar, (1, 1), annotated), signed_distance(bar, (1, 1))
    np.testing.assert_array_equal(cut[annotated], whole[annotated])
    annotated = ~(ball(bar.shape, 3, (6, 15)) & bar)
    parts = bar.astype(np.int32)
    assert objects(parts, (1, 1), annotated).max() == 1
    assert not border_weights(parts, (1, 1), annotated, border=10, sigma=5).any()


def test_two_objects_are_two_where_all_around_them_is_known() -> None:
    kinds = np.zeros((20, 20), np.int32)
    kinds[3:8, 3:8], kinds[3:8, 10:15] = 1, 1
    annotated = np.ones(kinds.shape, bool)
    annotated[15:, 15:] = False
    assert objects(kinds, (1, 1), annotated).max() == 2
    made = border_weights(kinds, (1, 1), annotated, border=10, sigma=5)
    np.testing.assert_array_equal(made[annotated], border_weights(kinds, (1, 1), border=10, sigma=5)[annotated])


def test_a_skeleton_ends_where_the_middle_is_not_known() -> None:
    bar = np.zeros((15, 40), bool)
    bar[4:11] = True
    annotated = np.ones(bar.shape, bool)
    annotated[:, 25:] = False
    cut, whole = tubed_skeleton(bar, (1, 1), annotated), tubed_skeleton(bar, (1, 1))
    np.testing.assert_array_equal(cut[:, :18], whole[:, :18])
    assert not cut[:, 24].any()


def test_an_uncertain_rim_leaves_both_sides_their_distances() -> None:
    disc, rim = ball((21, 21), 5), ball((21, 21), 7) & ~ball((21, 21), 4)
    made = signed_distance(disc, (1, 1), ~rim)
    assert made[10, 10] == -7.0710678
    assert made[10, 0] == 6
    assert closeness(disc.astype(np.int32), (1, 1), ~rim)[10, 10] == 0


def test_a_map_that_knows_nothing_of_it_is_shown_nothing_there() -> None:
    def plain(kinds: NDArray[np.int32], spacing: tuple[float, ...]) -> NDArray[np.float32]:
        return kinds.astype(np.float32)

    kinds = np.full((6, 6), 2)
    annotated = np.eye(6, dtype=bool)
    np.testing.assert_array_equal(map_of_annotated(plain, kinds, (1, 1), annotated), 2 * annotated)
