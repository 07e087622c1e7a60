"""nnU-Net's loss with a weight for each voxel."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.weight_map import WeightedDiceCE
from tests.tricks.loss.cases import IGNORE, MODES, Case, make
from tests.tricks.loss.test_lacking_classes import nnunets


def weighted(case: Case, weights: Tensor | None, *, batch: bool = False) -> Criterion:
    criterion = case.criterion(WeightedDiceCE(batch=batch))
    criterion.weights = weights
    return criterion


def value_and_gradient(criterion, case: Case) -> tuple[Tensor, Tensor]:
    value = criterion(case.logits, case.target)
    return value, torch.autograd.grad(value, case.logits)[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("weight", [None, 1.0, 0.25, 40.0])
def test_equal_weights_are_nnunets_loss(mode: str, batch: bool, weight: float | None) -> None:
    case = make(mode)
    weights = None if weight is None else torch.full_like(case.logits[:, 0].detach(), weight)
    mine = value_and_gradient(weighted(case, weights, batch=batch), case)
    theirs = value_and_gradient(nnunets(mode, batch_dice=batch), case)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["labels+ignore", "regions+ignore"])
def test_weight_0_is_the_ignore_label(mode: str) -> None:
    case = make(mode)
    weights = case.annotated.float()
    if case.regions:
        plain = case._replace(target=case.target[:, :-1], ignore_label=None)
    else:
        plain = case._replace(target=torch.where(case.target == IGNORE, 1, case.target), ignore_label=None)
    loss = weighted(plain, weights)
    mine, theirs = value_and_gradient(loss, plain), value_and_gradient(weighted(case, None), case)
    if case.regions:
        # nnU-Net sums the cross-entropies of regions where there is an ignore label, and averages them elsewhere.
        weights_too = weighted(case, torch.ones_like(weights))
        torch.testing.assert_close(value_and_gradient(weights_too, case), theirs)
        assert not mine[1][~case.annotated[:, None].expand_as(mine[1])].any()
    else:
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_counts_is_finite_and_teaches_nothing(mode: str) -> None:
    case = make(mode)
    value, gradient = value_and_gradient(weighted(case, torch.zeros_like(case.logits[:, 0].detach())), case)
    assert value.isfinite()
    assert not gradient.any()


@given(seed=st.integers(0, 1000))
def test_a_voxel_of_weight_2_counts_as_two(seed: int) -> None:
    case = make("labels", batch=1, seed=seed)
    double = torch.rand(case.target.shape, generator=torch.Generator().manual_seed(seed)) < 0.4
    twice = torch.cat([case.logits.flatten(2), case.logits.flatten(2)[..., double.flatten()]], -1)
    labels = torch.cat([case.target.flatten(2), case.target.flatten(2)[..., double.flatten()]], -1)
    mine = weighted(case, 1 + double[:, 0].float())(case.logits, case.target)
    torch.testing.assert_close(mine, Criterion(WeightedDiceCE(batch=False))(twice, labels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_gradient_is_that_of_the_value(mode: str) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    weights = torch.rand(case.logits[:, 0].shape, dtype=torch.float64)
    assert torch.autograd.gradcheck(weighted(case, weights), (case.logits, case.target))


def test_lower_levels_have_mean_weights() -> None:
    case = make("labels", spatial=(4, 6, 2))
    weights = torch.rand(2, 8, 12, 4)
    pooled = F.avg_pool3d(weights[:, None], 2)[:, 0]
    full, level = weighted(case, weights), weighted(case, pooled)
    torch.testing.assert_close(full(case.logits, case.target), level(case.logits, case.target))
