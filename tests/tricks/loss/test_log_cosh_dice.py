import numpy as np
import torch

from nnunet_tricks.tricks.loss.log_cosh_dice import log_cosh
from tests.tricks.loss.cases import make


def test_is_the_logarithm_of_the_hyperbolic_cosine_of_dice(loss_of) -> None:
    case = make("labels")
    mine, dice = (
        case.criterion(loss_of(name))(case.logits, case.target)
        for name in ("nnUNetTrainerLogCoshDice", "nnUNetTrainerDice")
    )
    torch.testing.assert_close(mine, torch.log(torch.cosh(dice)))


def test_its_slope_is_the_hyperbolic_tangent() -> None:
    values = torch.linspace(-3, 60, 200, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(log_cosh(values).sum(), values)
    np.testing.assert_allclose(slopes, torch.tanh(values).detach(), atol=1e-12)
