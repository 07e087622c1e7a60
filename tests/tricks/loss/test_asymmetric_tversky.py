import pytest
import torch

from tests.tricks.loss.cases import MODES, make


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_dice", [True, False])
def test_a_beta_of_one_is_dice(mode: str, batch_dice: bool, loss_of) -> None:
    case = make(mode)
    mine, dice = (
        case.criterion(loss_of(name, mode, batch_dice=batch_dice))(case.logits, case.target)
        for name in ("nnUNetTrainerAsymmetricTversky_beta1", "nnUNetTrainerDice")
    )
    torch.testing.assert_close(mine, dice)


@pytest.mark.parametrize(
    ("beta", "tversky"), [(2, "alpha0p2_beta0p8"), (0.5, "alpha0p8_beta0p2"), (3, "alpha0p1_beta0p9")]
)
def test_is_tversky_with_weights_that_add_up_to_one(beta: float, tversky: str, loss_of) -> None:
    case = make("labels", spatial=(30, 30, 30))
    mine, theirs = (
        case.criterion(loss_of(name))(case.logits, case.target)
        for name in (
            f"nnUNetTrainerAsymmetricTversky_beta{beta:g}".replace(".", "p"),
            f"nnUNetTrainerTversky_{tversky}",
        )
    )
    torch.testing.assert_close(mine, theirs)
