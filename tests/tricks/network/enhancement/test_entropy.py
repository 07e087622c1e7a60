from __future__ import annotations

from math import log2
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch import Tensor

from nnunet_tricks.tricks.network.enhancement.entropy import entropy_score
from nnunet_tricks.tricks.network.enhancement.selection import most_instructive

ORACLES = ("ife_tiny_relu", "ife_tiny_smooth", "ife_c256_28_relu")


def features(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ORACLES)
def test_the_published_code_is_reproduced(oracles: Path, name: str) -> None:
    values = np.load(oracles / f"{name}.npz", allow_pickle=False)
    scores = entropy_score(torch.from_numpy(values["input"]), mode="reference")
    np.testing.assert_allclose(scores, values["entropy_hist_score"], atol=2e-3)
    chosen = most_instructive(scores, values["entropy_hist_index"].shape[1])
    assert [set(row.tolist()) for row in chosen] == [set(row) for row in values["entropy_hist_index"].tolist()]


@pytest.mark.parametrize("name", ORACLES)
def test_the_published_code_for_other_networks_is_reproduced(oracles: Path, name: str) -> None:
    """Many of its scores are equal; which of these are chosen is chance there, and the lower channel here."""
    values = np.load(oracles / f"{name}.npz", allow_pickle=False)
    published, theirs = values["entropy_unique_score"], values["entropy_unique_index"]
    scores = entropy_score(torch.from_numpy(values["input"]), mode="unique")
    np.testing.assert_allclose(scores, published, atol=2e-3)
    chosen = most_instructive(scores, theirs.shape[1]).numpy()
    for mine, other, score in zip(chosen, theirs, published, strict=True):
        np.testing.assert_allclose(score[list({*mine} ^ {*other})], score[other].min(), atol=1e-5)


def test_in_3d_equal_numbers_are_counted_too() -> None:
    maps = torch.zeros(1, 2, 4, 5, 6)
    maps[0, 1, 1, 2, 3] = 1.0
    # The voxel itself, its 26 neighbours, and all others, as shares of 6 x 7 x 8.
    shares = [120], [1, 26, 93]
    expected = [-sum(count / 336 * log2(count / 336) for count in row) for row in shares]
    np.testing.assert_allclose(entropy_score(maps, mode="unique")[0], expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(9, 12), (6, 5, 7)])
@pytest.mark.parametrize("levels", [4, 16])
def test_agrees_with_numpy_and_scipy(size: tuple[int, ...], levels: int) -> None:
    maps = features(2, 20, *size).double().numpy()
    window = np.ones((3,) * len(size))
    window[(1,) * len(size)] = 0
    present = ndimage.convolve(np.ones(size), window, mode="constant")
    expected = np.empty(maps.shape[:2])
    for sample, channels in enumerate(maps):
        bounds = [[channels.min(), channels.max()]] * 2
        for channel, values in enumerate(channels):
            neighbours = ndimage.convolve(values, window, mode="constant") / present
            counts, _, _ = np.histogram2d(values.ravel(), neighbours.ravel(), bins=levels, range=bounds)
            expected[sample, channel] = stats.entropy(counts.ravel(), base=2)
    scores = entropy_score(torch.from_numpy(maps).float(), bins=levels**2)
    # A value at the edge of two cells may fall on the other side in float32.
    np.testing.assert_allclose(scores, expected, atol=0.03)
    assert np.median(np.abs(scores.numpy() - expected)) < 1e-5


def test_few_and_many_cells_are_counted_alike() -> None:
    """Without neighbours cells are the values; many cells are not counted one by one, but sorted."""
    values = torch.randint(0, 4, (1, 3, 200, 1), generator=torch.Generator().manual_seed(0)).float()
    values[:, :, :4, 0] = torch.arange(4.0)
    few = entropy_score(values, axes=(1,), bins=16)
    many = entropy_score(values, axes=(1,), bins=65536)
    shares = [np.unique(row, return_counts=True)[1] for row in values[0, :, :, 0].numpy()]
    expected = [[stats.entropy(row, base=2) for row in shares]]
    np.testing.assert_allclose(few, expected, rtol=1e-5)
    np.testing.assert_allclose(many, expected, rtol=1e-5)


def test_equal_shares_have_the_entropy_of_their_number() -> None:
    stripes = torch.arange(8.0).view(8, 1).expand(1, 1, 8, 16)
    assert entropy_score(stripes, axes=(1,)).item() == pytest.approx(3)


@pytest.mark.parametrize("mode", ["paper", "reference"])
def test_what_is_constant_has_none(mode: str) -> None:
    assert (entropy_score(torch.full((2, 3, 9, 9), 4.0)) == 0).all()
    mixed = torch.cat([torch.full((1, 1, 9, 9), 0.0), features(1, 3, 9, 9)], dim=1)
    scores = entropy_score(mixed, mode=mode)  # type: ignore[arg-type]
    assert scores[0, 0].item() == scores.min().item()
    if mode == "paper":
        constant = torch.cat([torch.full((1, 1, 9, 9), 0.3), features(1, 3, 9, 9)], dim=1)
        assert entropy_score(constant)[0, 0].item() == 0


def test_it_is_bounded_by_cells_and_voxels() -> None:
    maps = features(2, 8, 14, 14)
    assert (entropy_score(maps, bins=16) <= 4).all()
    assert (entropy_score(maps, bins=65536) <= log2(196) + 1e-5).all()


@pytest.mark.parametrize("size", [(16, 16), (8, 12, 8)])
def test_flips_and_other_samples_do_not_change_what_is_chosen(size: tuple[int, ...]) -> None:
    maps = features(3, 12, *size) * torch.tensor([1.0, 5.0, 0.1]).view(3, 1, *[1] * len(size))
    scores = entropy_score(maps)
    flipped = entropy_score(maps.flip(2, 3))
    torch.testing.assert_close(flipped, scores, atol=2e-2, rtol=0)
    assert torch.equal(most_instructive(flipped, 6).sort().values, most_instructive(scores, 6).sort().values)
    assert torch.equal(torch.cat([entropy_score(sample[None]) for sample in maps]), scores)


def test_the_published_code_depends_on_the_other_samples() -> None:
    maps = features(2, 4, 16, 16) * torch.tensor([1.0, 9.0]).view(2, 1, 1, 1)
    alone = entropy_score(maps[:1], mode="reference")
    assert (alone - entropy_score(maps, mode="reference")[:1]).abs().max() > 0.5


def test_two_of_three_axes_have_eight_neighbours() -> None:
    slices = features(1, 4, 12, 12)
    scores = entropy_score(slices.unsqueeze(2).expand(1, 4, 3, 12, 12), axes=(1, 2))
    torch.testing.assert_close(scores, entropy_score(slices))


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 2), (1, 4, 4)])
@pytest.mark.parametrize("mode", ["paper", "reference", "unique"])
def test_small_maps_have_an_entropy(size: tuple[int, ...], mode: str) -> None:
    scores = entropy_score(features(2, 3, *size), mode=mode)  # type: ignore[arg-type]
    assert scores.isfinite().all()


@pytest.mark.parametrize("mode", ["paper", "reference", "unique"])
def test_half_precision_is_scored_in_float32(mode: str) -> None:
    large = (features(1, 4, 20, 20) * 20_000).half().clamp(-65504, 65504)  # times 100 is beyond float16
    expected = entropy_score(large.float(), mode=mode)  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(entropy_score(large, mode=mode), expected)  # type: ignore[arg-type]
    assert (expected > 1).all()


@pytest.mark.parametrize("mode", ["paper", "reference", "unique"])
def test_broken_maps_score_zero_and_leave_the_others_alone(mode: str) -> None:
    maps = features(2, 5, 8, 8).clamp(-1, 1)
    expected = entropy_score(maps, mode=mode)  # type: ignore[arg-type]
    maps[0, 2, 0, 0], maps[0, 3, 4, 4], maps[1] = torch.nan, -torch.inf, torch.nan
    scores = entropy_score(maps, mode=mode)  # type: ignore[arg-type]
    assert (scores[0, 2:4] == 0).all()
    assert (scores[1] == 0).all()
    if mode != "reference":
        torch.testing.assert_close(scores[0, [0, 1, 4]], expected[0, [0, 1, 4]])


def test_there_is_no_gradient() -> None:
    assert not entropy_score(features(1, 2, 5, 5).requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"bins": 200}, "square number.* 196 or 225, got 200"),
        ({"bins": 1}, "from 2 to 65536, got 1"),
        ({"bins": 2**18}, "from 2 to 65536"),
        ({"mode": "exact"}, "'paper', 'reference' or 'unique', got 'exact'"),
        ({"axes": (3,)}, "axes must be"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        entropy_score(torch.zeros(1, 1, 4, 4), **settings)  # type: ignore[arg-type]
