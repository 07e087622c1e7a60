from functools import partial

import torch

from nnunet_tricks.training.class_balance import VoxelCounts
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.balanced_cross_entropy import share_of_the_others
from nnunet_tricks.tricks.loss.weighted_cross_entropy import weighted_cross_entropy
from tests.tricks.loss.cases import make


def test_is_the_surveys_equation_3_for_two_classes() -> None:
    """-(b p log q + (1 - b) (1 - p) log(1 - q)), b the share of background, mean over the pixels."""
    logits = torch.randn(2, 2, 5, 6)
    truth = torch.randint(2, (2, 1, 5, 6))
    p, q = truth[:, 0].float(), logits.softmax(1)[:, 1]
    foreground = int(truth.sum())
    b = 1 - foreground / truth.numel()
    printed = -(b * p * q.log() + (1 - b) * (1 - p) * (1 - q).log()).mean()
    counts = VoxelCounts(("background", "object"), (truth.numel() - foreground, foreground), truth.numel(), False)
    loss = partial(weighted_cross_entropy, weights=share_of_the_others(counts), plain=True)
    torch.testing.assert_close(Criterion(loss)(logits, truth.to(torch.int16)), printed)


def test_a_fixed_share_is_that_of_background(loss_of) -> None:
    case = make("labels")
    mine = case.criterion(loss_of("nnUNetTrainerBalancedCE_beta0p9"))(case.logits, case.target)
    weights = torch.tensor([0.1, 0.9, 0.9])[case.target[:, 0].long()]
    entropy = -case.logits.log_softmax(1).gather(1, case.target.long())[:, 0]
    torch.testing.assert_close(mine, (weights * entropy).mean())


def test_counted_weights_are_those_of_the_fold(loss_of) -> None:
    (row,) = loss_of("nnUNetTrainerBalancedCE").keywords["weights"]
    assert abs(sum(row) - (len(row) - 1)) < 1e-9  # shares add up to 1
    assert row[0] < row[1] < row[2]
