"""Counts and cross-entropy of regions in one pass, against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from nnunet_tricks.training.region_counts_and_entropy import RegionCountsAndEntropy

LACKING = [[], [1]]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lacking", [[], LACKING])
def test_its_gradient_is_right(weighted: bool, lacking: list[list[int]]) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 2, 3, 4) > 0.6
    weights = torch.rand(2, 3, 4, dtype=torch.float64) if weighted else None

    def counted(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        overlap, predicted, _, entropy = RegionCountsAndEntropy.apply(logits, target, weights, lacking)
        return overlap, predicted, entropy

    assert torch.autograd.gradcheck(counted, logits)


def test_sums_are_torchs_also_where_the_network_is_sure_and_wrong() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 8, 8) * 20
    target, weights = torch.rand(2, 3, 8, 8) > 0.5, torch.rand(2, 8, 8)
    overlap, predicted, truth, entropy = RegionCountsAndEntropy.apply(logits, target, weights, [])
    p, g, w = logits.sigmoid(), target.float(), weights[:, None]
    for found, expected in ((overlap, w * p * g), (predicted, w * p), (truth, w * g)):
        torch.testing.assert_close(found, expected.sum((2, 3)))
    torch.testing.assert_close(entropy, (w * binary_cross_entropy_with_logits(logits, g, reduction="none")).sum())
