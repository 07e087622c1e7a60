from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from monai.losses import FocalLoss

from nnunet_tricks.training.class_balance import times
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.focal import PUBLISHED_ALPHA, published_focal_loss
from tests.tricks.loss import published
from tests.tricks.loss.cases import CLASSES, MODES, make


@pytest.mark.parametrize("mode", MODES)
def test_without_focus_it_is_half_the_cross_entropy(mode: str, loss_of) -> None:
    case = make(mode)
    focal = case.criterion(loss_of("nnUNetTrainerFocal_alpha0p5_gamma0", mode))(case.logits, case.target)
    cross_entropy = case.criterion(loss_of("nnUNetTrainerCE", mode))(case.logits, case.target)
    torch.testing.assert_close(2 * focal, cross_entropy)


@pytest.mark.parametrize(("alpha", "gamma", "name"), [(0.25, 2, ""), (0.6, 1.5, "_alpha0p6_gamma1p5")])
def test_agrees_with_monai(alpha: float, gamma: float, name: str, loss_of) -> None:
    for mode in ("labels", "regions"):
        case = make(mode)
        softmax = mode == "labels"
        monai = FocalLoss(to_onehot_y=softmax, use_softmax=softmax, alpha=alpha, gamma=gamma)
        mine = case.criterion(loss_of(f"nnUNetTrainerFocal{name}", mode))(case.logits, case.target)
        # MONAI averages over the channels of the one-hot truth too.
        expected = monai(case.logits, case.target.float()) * (CLASSES if softmax else 1)
        torch.testing.assert_close(mine, expected)


def test_the_more_focus_the_less_easy_voxels_count(loss_of) -> None:
    """Voxels at p = 0.9 and p = 0.5: the ratio of their losses falls with gamma as ((1 - 0.9) / (1 - 0.5))^gamma."""
    losses = {}
    for name, gamma in (("gamma0", 0), ("gamma1", 1), ("", 2), ("gamma5", 5)):
        criterion = Criterion(loss_of("nnUNetTrainerFocal" + f"_{name}" * bool(name), "labels"))
        easy, hard = (
            criterion(torch.tensor([p, (1 - p) / 2, (1 - p) / 2]).log().view(1, 3, 1, 1), torch.zeros(1, 1, 1, 1))
            for p in (0.9, 0.5)
        )
        losses[gamma] = (easy / hard).item()
    entropy = np.log(0.9) / np.log(0.5)
    for gamma, ratio in losses.items():
        assert ratio == pytest.approx(entropy * 0.2**gamma, rel=1e-4)


@pytest.mark.parametrize("name", ["nnUNetTrainerFocal_gamma0p3", "nnUNetTrainerFocal_gamma0", "nnUNetTrainerFocal"])
def test_a_voxel_without_any_doubt_has_a_gradient_of_zero(name: str, loss_of) -> None:
    logits = torch.tensor([200.0, -200, -200]).view(1, 3, 1, 1).requires_grad_()
    value = Criterion(loss_of(name))(logits, torch.zeros(1, 1, 1, 1))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value == 0
    assert not gradient.any()


def test_with_half_alpha_and_no_focus_the_compound_is_dice_and_half_the_cross_entropy(loss_of) -> None:
    case = make("labels")
    compound, dice, entropy = (
        case.criterion(loss_of(name))(case.logits, case.target)
        for name in ("nnUNetTrainerDiceFocal_alpha0p5_gamma0", "nnUNetTrainerDice", "nnUNetTrainerCE")
    )
    torch.testing.assert_close(compound, dice - 1 + entropy / 2)


def test_published_code_is_reproduced(oracles) -> None:
    weights = times(((1.0, 1.0),), (1 - PUBLISHED_ALPHA, PUBLISHED_ALPHA))
    published.assert_reproduced(oracles, "focal", partial(published_focal_loss, gamma=2, weights=weights))


def test_the_trainers_published_loss_has_the_published_weights(loss_of) -> None:
    """Three classes: in the smoothed one-hot truth the true class has 1 - 1e-5, the others share 1e-5."""
    case = make("labels")
    loss = case.criterion(loss_of("nnUNetTrainerFocal_mediseg"))(case.logits, case.target)
    truth = F.one_hot(case.target[:, 0].long(), CLASSES).movedim(-1, 1).float().clamp(1e-5 / 2, 1 - 1e-5)
    right = (truth * case.logits.softmax(1)).sum(1) + 1e-5
    alpha = torch.tensor([0.25, 0.75, 0.75])[case.target[:, 0].long()]
    torch.testing.assert_close(loss, (-alpha * (1 - right) ** 2 * right.log()).mean())
