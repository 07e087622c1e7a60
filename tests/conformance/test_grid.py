from __future__ import annotations

from dataclasses import astuple
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.conformance.grid import FULL_GRID, Situation, pairwise


def pairs(situation: Situation) -> set[tuple[object, object]]:
    """Which two circumstances meet in a situation; their values differ, so positions need not be told."""
    return set(combinations(astuple(situation), 2))


@given(st.lists(st.sampled_from(FULL_GRID), unique=True))
def test_every_pair_that_can_meet_does(grid: list[Situation]) -> None:
    chosen = pairwise(grid)
    assert set(chosen) <= set(grid)
    assert set().union(*map(pairs, chosen)) == set().union(*map(pairs, grid))


@given(st.lists(st.sampled_from(FULL_GRID), unique=True))
def test_the_same_grid_gives_the_same_selection(grid: list[Situation]) -> None:
    assert pairwise(grid) == pairwise(grid)


def test_the_full_grid_needs_as_few_cells_as_its_two_longest_sides_have_pairs() -> None:
    assert len(FULL_GRID) == 24
    assert len(pairwise()) == 12


def test_cells_have_names_of_their_own() -> None:
    assert len(set(map(str, FULL_GRID))) == len(FULL_GRID)
