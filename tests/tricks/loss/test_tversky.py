import pytest
import torch
from monai.losses import TverskyLoss

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.training.criterion import Counts
from nnunet_tricks.tricks.loss.tversky import tversky_index
from tests.tricks.loss import published
from tests.tricks.loss.cases import MODES, Case, make, nnunet_loss


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_dice", [True, False])
def test_half_and_half_is_soft_dice(mode: str, batch_dice: bool, loss_of) -> None:
    case = make(mode)
    tversky = loss_of("nnUNetTrainerTversky_alpha0p5_beta0p5", batch_dice=batch_dice)
    dice = loss_of("nnUNetTrainerDice", batch_dice=batch_dice)
    torch.testing.assert_close(
        case.criterion(tversky)(case.logits, case.target), case.criterion(dice)(case.logits, case.target)
    )


def test_one_and_one_is_soft_jaccard() -> None:
    counts = Counts(tp=torch.tensor(6.0), predicted=torch.tensor(8.0), truth=torch.tensor(9.0))
    assert tversky_index(counts, alpha=1, beta=1, smooth=0) == pytest.approx(6 / (8 + 9 - 6))


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.9, 0.2), (0.0, 1.0)])
def test_agrees_with_monai(batch_dice: bool, alpha: float, beta: float, loss_of) -> None:
    case = make("labels")
    monai = TverskyLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        alpha=alpha,
        beta=beta,
        batch=batch_dice,
        smooth_nr=5e-6,
        smooth_dr=5e-6,
    )
    name = str(parse("nnUNetTrainerTversky"))
    words = [f"{key}{value:g}".replace(".", "p") for key, value in (("alpha", alpha), ("beta", beta))]
    defaults = ("alpha0p3", "beta0p7")
    name = "_".join([name, *(word for word in words if word not in defaults)])
    mine = case.criterion(loss_of(name, batch_dice=batch_dice))
    torch.testing.assert_close(mine(case.logits, case.target), monai(case.logits, case.target.float()))


@pytest.mark.parametrize("name", ["nnUNetTrainerTversky", "nnUNetTrainerTverskyCE"])
def test_beta_above_alpha_costs_misses_more_than_false_alarms(name: str, loss_of) -> None:
    truth = torch.zeros(1, 1, 20, 20, dtype=torch.int16)
    truth[..., 5:15, 5:15] = 1

    def loss_of_box(low: int, high: int) -> float:
        logits = torch.full((1, 2, 20, 20), 4.0)
        logits[:, 1] = -4
        logits[:, :, low:high, 5:15] *= -1
        case = Case(logits, truth, False, None)
        return case.criterion(loss_of(name))(case.logits, case.target).item()

    assert loss_of_box(7, 15) > loss_of_box(3, 15) > loss_of_box(5, 15)


def test_published_code_is_reproduced(oracles, loss_of) -> None:
    published.assert_reproduced(oracles, "tversky", loss_of("nnUNetTrainerTversky_mediseg"))


def test_published_code_keeps_probabilities_off_zero_and_one(loss_of) -> None:
    """Its clamp decides for an absent class: N voxels of probability 1e-7 are many times its smoothing of 1e-7."""
    target = torch.zeros(1, 1, 64, 64, dtype=torch.int16)
    logits = torch.tensor([20.0, -20.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    case = Case(logits, target, False, None)
    loss = case.criterion(loss_of("nnUNetTrainerTversky_mediseg"))(case.logits, case.target)
    eps, voxels = 1e-7, 64 * 64
    background = 1.0
    absent = eps / (eps + 0.7 * eps * voxels)
    assert loss.item() == pytest.approx(1 - (background + absent) / 2, abs=1e-5)


@pytest.mark.parametrize("name", ["nnUNetTrainerTversky_alpha0_beta0", "nnUNetTrainerTverskyCE_alpha0_beta0"])
def test_weights_that_leave_nothing_to_train_are_refused(name: str, loss_of) -> None:
    with pytest.raises(ValueError, match="must not both be 0"):
        loss_of(name)


def test_batch_of_copies_scores_like_one_where_the_published_code_does_not(loss_of) -> None:
    image = make("labels", batch=1)
    eight_images = image._replace(
        logits=image.logits.detach().repeat(8, *[1] * (image.logits.ndim - 1)),
        target=image.target.repeat(8, *[1] * (image.target.ndim - 1)),
    )

    def both(name: str) -> tuple[float, float]:
        loss = loss_of(name)
        return tuple(case.criterion(loss)(case.logits, case.target).item() for case in (image, eight_images))

    single, copies = both("nnUNetTrainerTversky")
    assert copies == pytest.approx(single)
    single, copies = both("nnUNetTrainerTversky_mediseg")
    assert copies == pytest.approx(1 - 8 * (1 - single), rel=1e-4)


def test_with_half_and_half_the_compound_is_nnunets_default_plus_one(loss_of) -> None:
    case = make("labels")
    mine = case.criterion(loss_of("nnUNetTrainerTverskyCE_alpha0p5_beta0p5"))(case.logits, case.target)
    torch.testing.assert_close(mine, 1 + nnunet_loss(case, batch_dice=False)(case.logits, case.target))


def test_the_surveys_formula_is_an_index_whose_beta_weighs_false_positives() -> None:
    """Eq. 8 prints pq / (pq + b (1-p) q + (1-b) p (1-q)) as the loss, yet it is 1 when perfect; q is the prediction."""
    p, q, b = torch.tensor([1.0, 1, 1, 0]), torch.tensor([0.9, 0.8, 0.1, 0.7]), 0.3
    printed = (p * q).sum() / ((p * q).sum() + b * ((1 - p) * q).sum() + (1 - b) * (p * (1 - q)).sum())
    counts = Counts(tp=(p * q).sum(), predicted=q.sum(), truth=p.sum())
    assert printed == pytest.approx(tversky_index(counts, alpha=b, beta=1 - b, smooth=0).item())


@pytest.mark.parametrize("name", ["nnUNetTrainerTversky_alpha1p7", "nnUNetTrainerTversky_gamma2"])
def test_bad_parameters_are_refused_with_the_range(name: str) -> None:
    with pytest.raises(IllegalName, match=r"a number from 0 to 1|it has: alpha, beta"):
        parse(name)
