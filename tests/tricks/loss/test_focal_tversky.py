import pytest
import torch
from monai.losses import TverskyLoss

from nnunet_tricks.training.criterion import Criterion
from tests.tricks.loss.cases import MODES, make


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("compound", ["", "CE"])
def test_a_power_of_one_is_tversky(mode: str, batch_dice: bool, compound: str, loss_of) -> None:
    case = make(mode)
    focal, tversky = (
        case.criterion(loss_of(name, mode, batch_dice=batch_dice))(case.logits, case.target)
        for name in (f"nnUNetTrainerFocalTversky{compound}_gamma1", f"nnUNetTrainerTversky{compound}")
    )
    torch.testing.assert_close(focal, tversky)


@pytest.mark.parametrize("gamma", [0.75, 2])
def test_is_the_power_of_monais_tversky_class_by_class(gamma: float, loss_of) -> None:
    case = make("labels")
    monai = TverskyLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        alpha=0.3,
        beta=0.7,
        smooth_nr=5e-6,
        smooth_dr=5e-6,
        reduction="none",
    )
    name = "nnUNetTrainerFocalTversky" + "_gamma2" * (gamma == 2)
    mine = case.criterion(loss_of(name))(case.logits, case.target)
    torch.testing.assert_close(mine, (monai(case.logits, case.target.float()) ** gamma).mean())


def test_a_class_that_is_right_already_gets_less_of_the_gradient_above_one_and_more_below(loss_of) -> None:
    """Class 1 overlaps well, class 2 badly; their shares of the gradient, against those under Tversky."""
    truth = torch.zeros(1, 1, 8, 8, dtype=torch.int16)
    truth[..., :4] = 1
    truth[..., 4:] = 2
    logits = torch.zeros(1, 3, 8, 8)
    logits[:, 1, :, :4] = 3
    logits[:, 2, :, 4:] = 0.5

    def share_of_the_good(name: str) -> float:
        z = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(Criterion(loss_of(name))(z, truth), z)
        good, bad = (gradient[:, :, :, half].abs().sum() for half in (slice(None, 4), slice(4, None)))
        return (good / (good + bad)).item()

    tversky = share_of_the_good("nnUNetTrainerTversky")
    assert share_of_the_good("nnUNetTrainerFocalTversky_gamma2") < tversky
    assert share_of_the_good("nnUNetTrainerFocalTversky") > tversky


@pytest.mark.parametrize("name", ["nnUNetTrainerFocalTversky_alpha0_beta0", "nnUNetTrainerFocalTverskyCE_alpha0_beta0"])
def test_weights_that_leave_nothing_to_train_are_refused(name: str, loss_of) -> None:
    with pytest.raises(ValueError, match="must not both be 0"):
        loss_of(name)
