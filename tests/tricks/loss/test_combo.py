import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name

from tests.tricks.loss.cases import CLASSES, make, nnunet_loss


@pytest.mark.parametrize(("name", "alpha", "beta"), [("", 0.5, 0.5), ("_alpha0p8_beta0p3", 0.8, 0.3)])
def test_is_the_formula_on_one_hot_truth(name: str, alpha: float, beta: float, loss_of) -> None:
    case = make("labels", dtype=torch.float64)
    truth = F.one_hot(case.target[:, 0].long(), CLASSES).movedim(-1, 1).double()
    p = case.logits.softmax(1)
    entropy = -(beta * truth * p.log() + (1 - beta) * (1 - truth) * (1 - p).log()).mean()
    dice = case.criterion(loss_of("nnUNetTrainerDice"))(case.logits, case.target) - 1
    mine = case.criterion(loss_of(f"nnUNetTrainerCombo{name}"))(case.logits, case.target)
    torch.testing.assert_close(mine, alpha * entropy + (1 - alpha) * dice)


def test_of_regions_it_is_half_of_nnunets_default_with_half_the_entropy(loss_of) -> None:
    """Half and half, each answer weighs one half: 0.5 (BCE / 2) + 0.5 Dice."""
    case = make("regions")
    mine = case.criterion(loss_of("nnUNetTrainerCombo", "regions"))(case.logits, case.target)
    both = nnunet_loss(case, batch_dice=False)(case.logits, case.target)
    entropy = F.binary_cross_entropy_with_logits(case.logits, case.target.float())
    torch.testing.assert_close(mine, 0.5 * both - 0.25 * entropy)


def test_beta_above_one_half_makes_misses_worse_than_false_alarms(loss_of) -> None:
    target = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    target[..., :2] = True
    missed, false = (torch.full((1, 2, 4, 4), logit) for logit in (-2.0, 2.0))

    def costs(beta: str) -> list[float]:
        criterion = make("regions").criterion(loss_of(f"nnUNetTrainerCombo_alpha1{beta}", "regions"))
        return [criterion(logits, target).item() for logits in (missed, false)]

    assert costs("_beta0p9")[0] > costs("_beta0p9")[1]
    assert costs("_beta0p1")[0] < costs("_beta0p1")[1]
    assert costs("")[0] == pytest.approx(costs("")[1])
