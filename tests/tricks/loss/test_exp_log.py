import pytest
import torch

from nnunet_tricks.tricks.loss.exp_log import ExpLog
from tests.tricks.loss.cases import Case, make


@pytest.mark.parametrize(("share", "gamma"), [(0.8, 0.3), (0.5, 1.0), (0.2, 2.0)])
def test_is_wongs_formula(share: float, gamma: float) -> None:
    case = make("labels", dtype=torch.float64)
    row = (0.5, 1.0, 3.0)
    mine = case.criterion(ExpLog(share=share, gamma=gamma, weights=(row,), batch=False))(case.logits, case.target)
    p = case.logits.softmax(1)
    right = p.gather(1, case.target.long())[:, 0]
    weights = torch.tensor(row, dtype=torch.float64)[case.target[:, 0].long()]
    dice = []
    for image in range(2):
        for label in (1, 2):
            truth = (case.target[image, 0] == label).double()
            overlap, both = (truth * p[image, label]).sum(), truth.sum() + p[image, label].sum()
            dice.append((2 * overlap + 1e-5) / (both + 1e-5))
    expected = share * (-torch.stack(dice).log()).pow(gamma).mean()
    expected = expected + (1 - share) * (weights * (-right.log()).pow(gamma)).mean()
    torch.testing.assert_close(mine, expected)


def test_a_power_of_one_and_no_dice_is_cross_entropy() -> None:
    case = make("labels+ignore")
    mine = case.criterion(ExpLog(share=0, gamma=1, weights=((1.0,) * 3,), batch=False))(case.logits, case.target)
    expected = torch.nn.functional.cross_entropy(case.logits, case.target[:, 0].long(), ignore_index=3)
    torch.testing.assert_close(mine, expected)


def test_a_perfect_prediction_costs_nothing_and_has_no_gradient() -> None:
    target = torch.ones(1, 1, 4, 4, dtype=torch.int16)
    logits = torch.tensor([-300.0, 300.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4).requires_grad_()
    loss = ExpLog(share=0.8, gamma=0.3, weights=((1.0, 1.0),), batch=False)
    value = Case(logits, target, False, None).criterion(loss)(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value == 0
    assert not gradient.any()


def test_weights_are_the_roots_of_rarity_in_the_fold(loss_of) -> None:
    (row,) = loss_of("nnUNetTrainerExpLog").weights
    shares = [1 / weight**2 for weight in row]
    assert sum(shares) == pytest.approx(1)
    assert shares[0] > shares[1] > shares[2]
