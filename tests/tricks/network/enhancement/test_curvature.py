from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from nnunet_tricks.tricks.network.enhancement.curvature import curvature_score
from nnunet_tricks.tricks.network.enhancement.selection import most_instructive

PUBLISHED = np.array([[-1, 5, -1], [5, -16, 5], [-1, 5, -1]]) / 16
"""The paper's kernel."""

ORACLES = ("ife_tiny_relu", "ife_tiny_smooth", "ife_c256_28_relu")


def planes(kernel: np.ndarray) -> np.ndarray:
    """The mean of a 2D kernel over the three planes of a cube."""
    cube = np.zeros((3, 3, 3))
    for axis in range(3):
        where: list[slice | int] = [slice(None)] * 3
        where[axis] = 1
        cube[tuple(where)] += kernel / 3
    return cube


def features(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ORACLES)
def test_the_published_code_is_reproduced(oracles: Path, name: str) -> None:
    values = np.load(oracles / f"{name}.npz", allow_pickle=False)
    scores = curvature_score(torch.from_numpy(values["input"]))
    np.testing.assert_allclose(scores, values["curvature_score"], atol=2e-3)
    chosen = most_instructive(scores, values["curvature_index"].shape[1])
    assert [set(row.tolist()) for row in chosen] == [set(row) for row in values["curvature_index"].tolist()]


@pytest.mark.parametrize(("size", "kernel"), [((9, 7), PUBLISHED), ((6, 7, 5), planes(PUBLISHED))])
def test_agrees_with_scipy(size: tuple[int, ...], kernel: np.ndarray) -> None:
    maps = features(2, 20, *size)
    inside = (slice(1, -1),) * len(size)
    expected = [[np.abs(ndimage.convolve(m, kernel)[inside]).sum() for m in sample] for sample in maps.double().numpy()]
    np.testing.assert_allclose(curvature_score(maps), expected, rtol=1e-5)


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.booleans())
def test_a_plane_does_not_bend(slopes: list[float], volume: bool) -> None:
    shape = (5, 6, 7) if volume else (5, 6)
    grids = torch.meshgrid(*(torch.arange(float(size)) for size in shape), indexing="ij")
    field = sum((slope * grid for slope, grid in zip(slopes[1:], grids, strict=False)), start=torch.tensor(slopes[0]))
    assert curvature_score(field.expand(1, 1, *shape)).item() < 1e-3


@pytest.mark.parametrize(("dimensions", "factor"), [(2, 3 / 16), (3, 1 / 8)])
def test_a_paraboloid_bends_by_three_eighths_of_its_mean_curvature(dimensions: int, factor: float) -> None:
    """A small gradient gives 3/8 of the mean curvature of the graph, which is its Laplacian over 2 or 3."""
    grids = torch.meshgrid(*[torch.arange(5.0) - 2] * dimensions, indexing="ij")
    squared = sum((grid**2 for grid in grids), start=torch.zeros(()))
    laplacian = 2.0 * dimensions
    score = curvature_score(squared[None, None]).item()
    assert score == pytest.approx(factor * laplacian * 3**dimensions)
    assert factor * laplacian == pytest.approx(3 / 8 * laplacian / dimensions)


@pytest.mark.parametrize("size", [(6, 6), (5, 5, 5)])
def test_no_direction_is_preferred(size: tuple[int, ...]) -> None:
    maps, axes = features(2, 4, *size), range(2, 2 + len(size))
    expected = curvature_score(maps)
    for order in permutations(axes):
        torch.testing.assert_close(curvature_score(maps.permute(0, 1, *order)), expected)
    for axis in axes:
        torch.testing.assert_close(curvature_score(maps.flip(axis)), expected)


@pytest.mark.parametrize("size", [(16, 16), (8, 12, 8)])
def test_flips_and_other_samples_do_not_change_what_is_chosen(size: tuple[int, ...]) -> None:
    maps = features(3, 12, *size)
    chosen = most_instructive(curvature_score(maps), 6)
    assert torch.equal(chosen, most_instructive(curvature_score(maps.flip(2, 3)), 6))
    alone = torch.cat([curvature_score(sample[None]) for sample in maps])
    assert torch.equal(alone, curvature_score(maps))


def test_two_of_three_axes_are_the_slices_by_themselves() -> None:
    maps = features(2, 3, 4, 6, 7)
    slices = torch.stack([curvature_score(maps[:, :, number]) for number in range(4)]).sum(0)
    torch.testing.assert_close(curvature_score(maps, axes=(1, 2)), slices)
    turned = maps.transpose(2, 4)
    torch.testing.assert_close(curvature_score(turned, axes=(0, 1)), slices)


def test_one_axis_is_what_does_not_change_along_the_other() -> None:
    maps = features(1, 2, 9, 1).expand(1, 2, 9, 5)
    torch.testing.assert_close(curvature_score(maps, axes=(0,)) * 3 / 5, curvature_score(maps))


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (1, 5, 5), (2, 2, 2)])
def test_maps_of_fewer_than_three_voxels_repeat_their_border(size: tuple[int, ...]) -> None:
    maps = features(1, 3, *size)
    padded = np.pad(maps.numpy(), [(0, 0), (0, 0), *((int(s < 3),) * 2 for s in size)], mode="edge")
    assert torch.equal(curvature_score(maps), curvature_score(torch.from_numpy(padded)))


def test_half_precision_is_scored_in_float32() -> None:
    large = (features(1, 4, 20, 20) * 20_000).half().clamp(-65504, 65504)
    expected = curvature_score(large.float())
    assert torch.equal(curvature_score(large), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(curvature_score(large), expected)
    assert expected.isfinite().all()


def test_constant_and_broken_maps_score_zero_and_leave_the_others_alone() -> None:
    maps = features(1, 5, 8, 8)
    expected = curvature_score(maps)
    maps[0, 1], maps[0, 2, 0, 0], maps[0, 3, 4, 4] = 7, torch.nan, torch.inf
    expected[0, 1:4] = 0
    torch.testing.assert_close(curvature_score(maps), expected)


def test_there_is_no_gradient() -> None:
    assert not curvature_score(features(1, 2, 5, 5).requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("maps", "axes", "named"),
    [
        (torch.zeros(2, 3, 4), None, r"shape \(2, 3, 4\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.int32), None, "torch.int32"),
        (torch.zeros(0, 3, 4, 4), None, "not empty"),
        (torch.zeros(2, 3, 4, 4), (2,), r"from 0 to 1, got \(2,\)"),
        (torch.zeros(2, 3, 4, 4), (), "different spatial axes"),
        (torch.zeros(2, 3, 4, 4), (0, 0), "different spatial axes"),
    ],
)
def test_what_is_no_feature_map_is_refused(maps: Tensor, axes: tuple[int, ...] | None, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        curvature_score(maps, axes)
