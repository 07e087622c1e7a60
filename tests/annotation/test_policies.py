"""Number and choice of slices, and what a higher density adds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.annotation import features, policies, volumes

SLICES = st.integers(1, 400)
DENSITIES = st.floats(0.001, 1)


@given(SLICES, DENSITIES, st.sampled_from(["fixed", "random"]), st.integers(0, 9))
def test_as_many_slices_as_the_density_says_each_once_and_in_the_volume(
    slices: int, density: float, policy: str, seed: int
) -> None:
    chosen = policies.chosen(policy, slices, density, seed=seed, case="a")
    assert len(chosen) == len(set(chosen)) == policies.number(slices, density)
    assert abs(len(chosen) - density * slices) <= 0.5 + 1e-6 or len(chosen) == 1
    assert [*chosen] == sorted(chosen)
    assert 0 <= chosen[0] <= chosen[-1] < slices


@given(SLICES, DENSITIES)
def test_no_policy_leaves_smaller_gaps_than_fixed_intervals(slices: int, density: float) -> None:
    chosen = policies.chosen("fixed", slices, density)
    interval = -(-slices // len(chosen))  # rounded up
    assert max(np.diff(chosen), default=0) <= interval
    assert chosen[0] <= interval // 2
    assert slices - 1 - chosen[-1] <= (interval + 1) // 2


@given(SLICES, DENSITIES, DENSITIES, st.integers(0, 9))
def test_random_slices_are_nested_in_density(slices: int, first: float, second: float, seed: int) -> None:
    low, high = (policies.chosen("random", slices, density, seed=seed, case="x") for density in sorted((first, second)))
    assert set(low) <= set(high)


def test_random_slices_differ_by_case_and_seed_and_all_come_equally_often() -> None:
    first = policies.chosen("random", 100, 0.1, case="a")
    assert first != policies.chosen("random", 100, 0.1, case="b")
    assert first != policies.chosen("random", 100, 0.1, case="a", seed=1)
    counts = np.zeros(10)
    for seed in range(2000):
        counts[list(policies.chosen("random", 10, 0.3, seed=seed, case="a"))] += 1
    assert counts == pytest.approx(np.full(10, 600), abs=110)  # five standard deviations


def test_a_choice_is_the_same_on_every_machine() -> None:
    assert policies.chosen("random", 50, 0.1, seed=3, case="case_00010") == (5, 18, 40, 42, 49)
    assert volumes.chosen([f"c{number}" for number in range(8)], 0.25, seed=3) == ["c3", "c7"]


@pytest.mark.parametrize("objective", policies.OBJECTIVES)
def test_slices_by_content_are_nested_and_show_each_kind_before_they_repeat_one(objective: str) -> None:
    generator = np.random.default_rng(0)
    kinds = np.eye(4, 8)[np.repeat(np.arange(4), [12, 3, 9, 6])]
    rows = kinds + 0.05 * generator.standard_normal(kinds.shape)
    orders = [policies.chosen("ual", 30, density, features=rows, objective=objective) for density in (4 / 30, 0.5)]
    assert set(orders[0]) < set(orders[1])
    assert {int(rows[index].argmax()) for index in orders[0]} == {0, 1, 2, 3}


def test_greedy_cover_is_within_its_bound_of_the_best_choice() -> None:
    from itertools import combinations

    rows = np.abs(np.random.default_rng(1).standard_normal((11, 3)))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    alike = unit @ unit.T

    def cover(chosen: tuple[int, ...]) -> float:
        return float(alike[:, list(chosen)].max(axis=1).sum())

    best = max(cover(triple) for triple in combinations(range(11), 3))
    assert cover(policies.chosen("ual", 11, 3 / 11, features=rows)) >= (1 - 1 / np.e) * best


def test_greedy_k_center_is_within_twice_the_best_radius() -> None:
    from itertools import combinations

    rows = np.random.default_rng(2).standard_normal((12, 2))
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)

    def radius(chosen: tuple[int, ...]) -> float:
        return float(distances[:, list(chosen)].min(axis=1).max())

    best = min(radius(four) for four in combinations(range(12), 4))
    chosen = policies.chosen("ual", 12, 4 / 12, features=rows, objective="kcenter")
    assert radius(chosen) <= 2 * best


@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_volumes_are_nested_whatever_their_order(count: int, first: float, second: float, seed: int) -> None:
    cases = [f"case{number}" for number in range(count)]
    shares = zip(sorted((first, second)), (1, -1), strict=True)
    few, many = (volumes.chosen(cases[::turn], share, seed=seed) for share, turn in shares)
    assert set(few) <= set(many)
    assert len(few) == max(1, int(np.ceil(min(first, second) * count - 1e-9)))


def test_pixels_tell_slices_apart_that_look_different() -> None:
    generator = np.random.default_rng(0)
    looks = 100 * generator.random((3, 40, 56))
    stack = looks[[0, 0, 1, 1, 1, 2]] + generator.standard_normal((6, 40, 56))
    (rows,) = features.pixels([stack.astype(np.int16)])
    alike = rows @ rows.T
    same = np.equal.outer([0, 0, 1, 1, 1, 2], [0, 0, 1, 1, 1, 2])
    assert alike[same].min() > 0.9 > 0.1 > alike[~same].max()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_codes_of_an_autoencoder_tell_slices_apart_and_are_the_same_again() -> None:
    from nnunet_tricks.annotation.autoencoder import latents

    generator = np.random.default_rng(0)
    looks = 100 * generator.random((3, 8, 9)).repeat(5, axis=1).repeat(5, axis=2)
    kinds = [0, 0, 1, 1, 1, 2]
    stack = looks[kinds] + generator.standard_normal((6, 40, 45))
    first, again = (latents([stack[:4], stack[4:]], steps=8) for _ in range(2))
    assert [codes.shape for codes in first] == [(4, 128), (2, 128)]
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))
    rows = np.concatenate(first)
    same = np.equal.outer(kinds, kinds)
    assert (rows @ rows.T)[same].min() > (rows @ rows.T)[~same].max()


def test_cover_adds_what_raises_the_cover_most() -> None:
    unit = np.random.default_rng(3).standard_normal((40, 5))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    alike = unit @ unit.T
    ordered: list[int] = []
    for _ in range(40):
        gains = [alike[:, [*ordered, index]].max(axis=1).sum() for index in range(40)]
        ordered.append(max(sorted({*range(40)} - {*ordered}), key=gains.__getitem__))
        if len(ordered) in (1, 4, 15):
            assert policies.order(unit, "cover", len(ordered)) == ordered


def test_pixels_do_not_depend_on_units_and_stand_constant_volumes() -> None:
    volume = np.random.default_rng(0).random((9, 30, 20))
    np.testing.assert_allclose(features.thumbnails(volume), features.thumbnails(-1000 + 700 * volume), atol=1e-4)
    (rows,) = features.pixels([np.zeros((4, 5, 6))])
    assert not rows.any()
    assert policies.chosen("ual", 4, 0.5, features=rows) == (0, 1)


def test_thumbnails_average_as_a_published_function_does() -> None:
    from skimage.measure import block_reduce

    volume = np.random.default_rng(0).random((2, 128, 192))
    ours = features.thumbnails(volume)
    low, high = np.percentile(volume, (0.5, 99.5))
    scaled = (np.clip(volume, low, high) - low) / (high - low)
    np.testing.assert_allclose(ours.reshape(2, 64, 64), block_reduce(scaled, (1, 2, 3), np.mean), atol=1e-5)


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan")])
def test_densities_out_of_range_are_refused(density: float) -> None:
    with pytest.raises(ValueError, match="density must be above 0 and at most 1"):
        policies.chosen("fixed", 10, density)
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        volumes.chosen(["a"], density)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="policy must be one of fixed, random, ual, got 'best'"):
        policies.chosen("best", 10, 0.1)
    with pytest.raises(ValueError, match="one row for each of 10 slices"):
        policies.chosen("ual", 10, 0.1, features=np.zeros((9, 2)))
    with pytest.raises(ValueError, match="objective must be one of cover, kcenter"):
        policies.chosen("ual", 2, 0.5, features=np.eye(2), objective="entropy")
    with pytest.raises(ValueError, match="seed must not be negative"):
        policies.chosen("random", 2, 0.5, seed=-1)
