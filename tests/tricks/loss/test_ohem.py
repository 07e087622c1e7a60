import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.loss.robust_ce_loss import TopKLoss

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.ohem import hardest_mean, ohem_loss
from tests.tricks.loss import published
from tests.tricks.loss.cases import MODES, make, nnunet_loss


@pytest.mark.parametrize("mode", MODES)
def test_a_fraction_of_one_is_cross_entropy(mode: str, loss_of) -> None:
    case = make(mode)
    ohem, ce = (
        case.criterion(loss_of(name))(case.logits, case.target)
        for name in ("nnUNetTrainerOHEM_fraction1", "nnUNetTrainerCE")
    )
    torch.testing.assert_close(ohem, ce)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_dice", [True, False])
def test_a_fraction_of_one_makes_the_compound_nnunets_default_loss(mode: str, batch_dice: bool, loss_of) -> None:
    case = make(mode)
    mine = case.criterion(loss_of("nnUNetTrainerDiceOHEM_fraction1", batch_dice=batch_dice))(case.logits, case.target)
    torch.testing.assert_close(mine, nnunet_loss(case, batch_dice=batch_dice)(case.logits, case.target))


def test_a_tenth_is_nnunets_top_k(loss_of) -> None:
    case = make("labels")
    mine = case.criterion(loss_of("nnUNetTrainerOHEM_fraction0p1"))(case.logits, case.target)
    torch.testing.assert_close(mine, TopKLoss(k=10)(case.logits, case.target))


@given(
    losses=st.lists(st.floats(0, 20, width=32), min_size=1, max_size=40),
    fraction=st.floats(0.01, 1),
    threshold=st.floats(0.01, 1),
    keep=st.integers(1, 50),
)
def test_counts_the_hardest_and_no_others(losses: list[float], fraction: float, threshold: float, keep: int) -> None:
    hardest_first = sorted(losses, reverse=True)
    wanted = hardest_first[: int(fraction * len(losses))]
    if threshold < 1:
        wanted = [loss for loss in wanted if loss > torch.tensor(-math.log(threshold), dtype=torch.float32)]
    wanted = hardest_first[: max(len(wanted), min(keep, len(losses)))]
    mean = hardest_mean(torch.tensor(losses), fraction=fraction, threshold=threshold, keep=keep)
    assert mean == pytest.approx(sum(wanted) / len(wanted), rel=1e-5, abs=1e-6)


def test_ignored_voxels_do_not_count_towards_the_fraction(loss_of) -> None:
    """Half of the voxels is annotated: the hardest half of those is a quarter of all, not half."""
    logits = torch.zeros(1, 2, 4, 4)
    logits[0, 1] = torch.arange(16.0).view(4, 4)
    target = torch.full((1, 1, 4, 4), 2, dtype=torch.int16)
    target[0, 0, :2] = 0
    mine = Criterion(loss_of("nnUNetTrainerOHEM_fraction0p5"), ignore_label=2)(logits, target)
    expected = torch.log1p(torch.exp(torch.arange(4.0, 8.0))).mean()
    torch.testing.assert_close(mine, expected)


def test_an_ignore_label_that_no_voxel_has_does_not_change_who_is_hard() -> None:
    """nnU-Net averages over regions without an ignore label and sums with one; the threshold means the same in both."""
    logits = torch.zeros(1, 3, 2, 2)
    logits[..., 1] = 1
    truth = torch.ones(1, 3, 2, 2, dtype=torch.bool)
    loss = partial(ohem_loss, fraction=1.0, threshold=0.6, keep=1)
    without_label = Criterion(loss, regions=True)(logits, truth)
    ignored = torch.cat([truth, torch.zeros(1, 1, 2, 2, dtype=torch.bool)], 1)
    with_label = Criterion(loss, regions=True, ignore_label=4)(logits, ignored)
    torch.testing.assert_close(without_label, torch.tensor(math.log(2)))
    torch.testing.assert_close(with_label, 3 * without_label)


def test_published_code_is_reproduced(oracles, loss_of) -> None:
    published.assert_reproduced(oracles, "ohem", loss_of("nnUNetTrainerOHEM_mediseg"))
    published.assert_reproduced(oracles, "ohem", loss_of("nnUNetTrainerOHEM"))
