from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import RandCoarseShuffle

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.shuffling import (
    ORDERS,
    PART,
    grid_of,
    shuffled,
    shuffled_in_windows,
    window_sides,
)

CPU = torch.device("cpu")
shapes = st.lists(st.integers(2, 40), min_size=2, max_size=3).map(tuple).filter(lambda shape: prod(shape) < 20_000)


@given(shapes, st.integers(0, 1000))
def test_voxels_change_places_within_windows_only(shape, seed) -> None:
    chance = Chance(seed, CPU)
    sides = window_sides(shape, chance)
    begins = [length % side for length, side in zip(shape, sides, strict=True)]
    corners, inside = grid_of(shape, sides, begins)
    places = corners[:, None] + inside
    assert len(places.unique()) == places.numel()
    image = torch.arange(2 * prod(shape)).view(2, *shape)
    flat, moved = image.flatten(1), shuffled(image, corners, inside, chance).flatten(1)
    assert torch.equal(moved[:, places].sort(2)[0], flat[:, places].sort(2)[0])
    untouched = torch.ones(prod(shape), dtype=torch.bool)
    untouched[places] = False
    assert torch.equal(moved[:, untouched], flat[:, untouched])
    # Channels go together: a voxel keeps its colour.
    assert torch.equal(moved[1] - moved[0], flat[1] - flat[0])


@pytest.mark.parametrize(("sides", "windows"), [((3, 4), 70), ((6, 2), 32), ((8, 8), 5)])
def test_all_windows_at_once_become_what_a_loop_makes_of_them(sides, windows) -> None:
    image = torch.rand(2, 37, 50)
    corners, inside = grid_of((37, 50), sides, (1, 2))
    corners = corners[torch.randperm(len(corners))[:windows]]
    orders = Chance(3, CPU).uniform((min(ORDERS, windows), len(inside))).argsort(1)
    flat = image.flatten(1)
    expected = flat.clone()
    for number, corner in enumerate(corners):
        expected[:, corner + inside] = flat[:, corner + inside[orders[number % len(orders)]]]
    assert torch.equal(shuffled(image, corners, inside, Chance(3, CPU)), expected.view_as(image))


@given(shapes, st.integers(0, 1000))
def test_windows_have_several_voxels_and_are_small(shape, seed) -> None:
    sides = window_sides(shape, Chance(seed, CPU))
    assert prod(sides) > 1
    assert all(side <= max(2, length // PART) for side, length in zip(sides, shape, strict=True))


def test_no_more_windows_than_asked_for_are_shuffled() -> None:
    image = torch.arange(50 * 50.0).view(1, 50, 50)
    changed = (shuffled_in_windows(image, Chance(4, CPU), windows=3) != image).sum()
    assert 0 < int(changed) <= 3 * 5 * 5
    assert int((shuffled_in_windows(image, Chance(4, CPU)) != image).sum()) > 1000


@pytest.mark.parametrize("shape", [(20, 30), (9, 16, 12)])
def test_a_window_has_the_values_that_monai_gives_it(shape) -> None:
    image = torch.rand(1, *shape)
    monai = RandCoarseShuffle(holes=1, spatial_size=4, prob=1.0).set_random_state(3)
    theirs = torch.as_tensor(monai(image.clone()))
    (window,) = monai.hole_coords
    inside = torch.zeros(shape, dtype=torch.bool)
    inside[window[1:]] = True
    mine = shuffled(image, torch.zeros(1, dtype=torch.long), inside.flatten().nonzero()[:, 0], Chance(0, CPU))
    for result in (mine, theirs):
        assert torch.equal(result[:, ~inside], image[:, ~inside])
        assert not torch.equal(result, image)
    assert torch.equal(mine[:, inside].sort()[0], theirs[:, inside].sort()[0])
