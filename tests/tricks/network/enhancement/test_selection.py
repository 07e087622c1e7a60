from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.tricks.network.enhancement.curvature import curvature_score
from nnunet_tricks.tricks.network.enhancement.entropy import entropy_score
from nnunet_tricks.tricks.network.enhancement.random_channels import RandomScore
from nnunet_tricks.tricks.network.enhancement.selection import Enhancement, enhanced, most_instructive
from nnunet_tricks.tricks.network.enhancement.stages import axes_of, chosen_stages


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_equal_scores_keep_the_order_of_channels(scores: list[int]) -> None:
    chosen = most_instructive(torch.tensor([scores], dtype=torch.float32), len(scores))[0].tolist()
    assert chosen == sorted(range(len(scores)), key=lambda channel: (-scores[channel], channel))


@pytest.mark.parametrize("count", [-1, 4])
def test_so_many_channels_there_are_not(count: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to the 3 channels, got {count}"):
        most_instructive(torch.zeros(1, 3), count)


@pytest.mark.parametrize("size", [(5, 5), (4, 5, 3)])
def test_all_channels_and_then_the_chosen_ones(size: tuple[int, ...]) -> None:
    features, index = torch.randn(2, 4, *size), torch.tensor([[3, 0], [1, 1]])
    shown = enhanced(features, index)
    assert torch.equal(shown[:, :4], features)
    for sample in range(2):
        assert torch.equal(shown[sample, 4:], features[sample, index[sample]])


def test_both_copies_of_a_channel_pass_their_gradient_on() -> None:
    features = torch.randn(1, 3, 2, 2, requires_grad=True)
    weights = torch.arange(1.0, 5).view(1, 4, 1, 1)
    (enhanced(features, torch.tensor([[1]])) * weights).sum().backward()
    assert features.grad is not None
    assert features.grad[0, :, 0, 0].tolist() == [1, 2 + 4, 3]


@pytest.mark.parametrize("score", [curvature_score, entropy_score])
def test_the_gradient_is_that_of_a_fixed_choice(score: object) -> None:
    features = torch.randn(2, 6, 8, 8, requires_grad=True)
    layer = Enhancement(score, channels=6, ratio=0.5)  # type: ignore[arg-type]
    mine = torch.autograd.grad(layer(features).square().sum(), features)[0]
    fixed = enhanced(features, layer.choose(features.detach()))
    torch.testing.assert_close(mine, torch.autograd.grad(fixed.square().sum(), features)[0])


def test_ratio_zero_changes_nothing_and_ratio_one_shows_all_twice() -> None:
    features = torch.randn(2, 6, 8, 8)
    assert Enhancement(curvature_score, channels=6, ratio=0)(features) is features
    assert Enhancement(curvature_score, channels=6, ratio=0.1)(features) is features  # less than one channel
    twice = Enhancement(curvature_score, channels=6, ratio=1)(features)[:, 6:]
    assert torch.equal(twice.sort(1).values, features.sort(1).values)
    for ratio in (-0.1, 1.5):
        with pytest.raises(ValueError, match="ratio must be from 0 to 1"):
            Enhancement(curvature_score, channels=6, ratio=ratio)


def test_random_channels_are_the_same_for_every_image_and_not_for_every_run() -> None:
    first, again, other = (RandomScore(64, seed) for seed in (1, 1, 2))
    images = torch.randn(3, 64, 4, 4)
    assert torch.equal(first(images), again(-images))
    assert not torch.equal(first(images), other(images))
    assert (first(images) == first(images)[0]).all()
    assert not first.state_dict()


@given(st.integers(1, 8), st.integers(1, 8))
def test_stages_are_neighbours_in_the_middle(skips: int, count: int) -> None:
    if count > skips:
        with pytest.raises(ValueError, match=f"ratios of {count} stages, but the network has {skips} skip"):
            chosen_stages(skips, count, "middle")
        return
    stages = chosen_stages(skips, count, "middle")
    assert len(stages) == count
    before, behind = stages[0], skips - 1 - stages[-1]
    assert before - behind in (0, 1)


def test_shallow_stages_need_to_be_there() -> None:
    assert list(chosen_stages(3, 2, "shallow")) == [1, 2]
    with pytest.raises(ValueError, match="2 skip connections, 1 of them below full resolution"):
        chosen_stages(2, 2, "shallow")


def test_a_kernel_that_looks_nowhere_leaves_all_axes() -> None:
    assert axes_of([1, 1, 1], 3) == (0, 1, 2)
    assert axes_of([3, 3, 1], 3) == (0, 1)
