import pytest
import torch
from monai.losses import DiceLoss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from nnunet_tricks.training.criterion import Counts
from nnunet_tricks.tricks.loss.dice import dice_score
from tests.tricks.loss import published
from tests.tricks.loss.cases import Case, make


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("spatial", [(9, 7), (5, 6, 4)])
def test_agrees_with_monai(batch_dice: bool, squared: bool, spatial: tuple[int, ...], loss_of) -> None:
    case = make("labels", spatial=spatial)
    monai = DiceLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        squared_pred=squared,
        batch=batch_dice,
        smooth_nr=1e-5,
        smooth_dr=1e-5,
    )
    mine = case.criterion(loss_of("nnUNetTrainerDice" + "_squared" * squared, batch_dice=batch_dice))
    torch.testing.assert_close(mine(case.logits, case.target), monai(case.logits, case.target.float()))


@pytest.mark.parametrize("batch_dice", [True, False])
def test_is_one_plus_nnunets_term(batch_dice: bool, loss_of) -> None:
    case = make("labels")
    nnunet = MemoryEfficientSoftDiceLoss(
        apply_nonlin=lambda x: torch.softmax(x, 1), batch_dice=batch_dice, do_bg=False, smooth=1e-5, ddp=False
    )
    mine = case.criterion(loss_of("nnUNetTrainerDice", batch_dice=batch_dice))(case.logits, case.target)
    torch.testing.assert_close(mine, 1 + nnunet(case.logits, case.target))


def test_published_code_is_reproduced(oracles, loss_of) -> None:
    published.assert_reproduced(oracles, "dice", loss_of("nnUNetTrainerDice_mediseg"))


def test_an_absent_class_that_is_not_predicted_is_perfect(loss_of) -> None:
    logits = torch.tensor([100.0, -100.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    case = Case(logits, torch.zeros(1, 1, 8, 8, dtype=torch.int16), False, None)
    assert case.criterion(loss_of("nnUNetTrainerDice"))(case.logits, case.target) == 0


def test_the_surveys_mixed_denominator_does_not_find_a_perfect_match() -> None:
    """Eq. 7 prints |p|_1 + |q|_2; both sums must be of the same power, as V-Net has them."""
    p = g = torch.ones(4)
    printed = 1 - 2 * (p * g).sum() / (p.norm(1) + g.norm(2))
    counts = Counts(tp=(p * g).sum(), predicted=(p * p).sum(), truth=(g * g).sum())
    assert 1 - dice_score(counts) == 0
    assert printed < 0
