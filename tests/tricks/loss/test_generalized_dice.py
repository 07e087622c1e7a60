import pytest
import torch
from monai.losses import GeneralizedDiceLoss

from nnunet_tricks.training.criterion import Counts, Criterion
from nnunet_tricks.tricks.loss.generalized_dice import generalized_dice
from tests.tricks.loss.cases import make


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("mode", ["labels", "regions"])
def test_agrees_with_monai(mode: str, batch_dice: bool, loss_of) -> None:
    case = make(mode, spatial=(12, 12, 12))
    softmax = mode == "labels"
    monai = GeneralizedDiceLoss(
        to_onehot_y=softmax, softmax=softmax, sigmoid=not softmax, batch=batch_dice, smooth_nr=0, smooth_dr=0
    )
    mine = case.criterion(loss_of("nnUNetTrainerGeneralizedDice", mode, batch_dice=batch_dice))
    torch.testing.assert_close(mine(case.logits, case.target), monai(case.logits, case.target.float()))


def test_a_perfect_prediction_costs_nothing_where_the_surveys_formula_costs_something() -> None:
    """Eq. 9 prints 1 - (1/m) 2 S w S pq / S w S (p + q): for m classes a perfect prediction costs 1 - 1/m."""
    truth = torch.tensor([[900.0, 75.0, 25.0]])
    counts = Counts(truth, truth, truth)
    torch.testing.assert_close(generalized_dice(counts), torch.ones(1))
    weights = truth**-2
    printed = 1 - 2 / 3 * (weights * truth).sum() / (weights * (truth + truth)).sum()
    torch.testing.assert_close(printed, torch.tensor(2 / 3))


@pytest.mark.parametrize("size", [8, 64])
def test_smoothing_means_the_same_for_images_of_any_size(size: int, loss_of) -> None:
    """Nothing is found: half of the image each, so that the score is 0 but for smoothing by 1e-5 of a voxel."""
    truth = torch.zeros(1, 1, size, size, dtype=torch.int16)
    truth[..., : size // 2] = 1
    logits = torch.full((1, 3, size, size), -20.0)
    logits[:, 0] = truth[:, 0] * 40.0
    logits[:, 1] = 20.0 - truth[:, 0] * 40.0
    assert Criterion(loss_of("nnUNetTrainerGeneralizedDice"))(logits, truth) == pytest.approx(1, abs=1e-5)


def test_a_class_that_the_image_lacks_weighs_as_much_as_the_smallest_that_is_there() -> None:
    counts = Counts(*torch.tensor([[[90.0, 8.0, 0.0]], [[90.0, 8.0, 2.0]], [[92.0, 8.0, 0.0]]]))
    weights = torch.tensor([92.0**-2, 8.0**-2, 8.0**-2])
    both = counts.predicted + counts.truth
    torch.testing.assert_close(
        generalized_dice(counts, smooth=0), 2 * (weights * counts.tp).sum(1) / (weights * both).sum(1)
    )
