from __future__ import annotations

import pytest
import torch
from monai.losses.hausdorff_loss import HausdorffDTLoss

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.loss.dice import dice_score
from nnunet_tricks.tricks.loss.hausdorff import HausdorffLoss
from nnunet_tricks.tricks.targets.distance import distance_to_the_other_side
from nnunet_tricks.tricks.targets.maps import Layout
from tests.tricks.loss.cases import MODES, Case, make, maps_of


def _distances(case: Case, alpha: float = 2) -> torch.Tensor:
    layout = Layout(case.logits.shape[1] - (0 if case.regions else 1), case.regions, case.ignore_label is not None)
    return maps_of(case, lambda mask, spacing: distance_to_the_other_side(mask, spacing, power=alpha), layout)


def _loss(both: tuple[float, ...] | None = None, alpha: float = 2, weight: float = 1) -> HausdorffLoss:
    return HausdorffLoss(weight=weight, alpha=alpha, both=both, batch=False)


def _term(case: Case, loss: HausdorffLoss) -> torch.Tensor:
    prediction = Prediction(case.logits, case.target, regions=case.regions, ignore_label=case.ignore_label)
    return loss.terms(prediction, _distances(case, loss.alpha))[1]


def _monais(case: Case, alpha: float) -> torch.Tensor:
    truth = case.target.float() if case.regions else case.target
    reference = HausdorffDTLoss(
        alpha=alpha,
        include_background=case.regions,
        sigmoid=case.regions,
        softmax=not case.regions,
        to_onehot_y=not case.regions,
    )
    return reference(case.logits, truth)


@pytest.mark.parametrize("mode", ["labels", "regions"])
@pytest.mark.parametrize("spatial", [(9, 8), (6, 7, 5)])
@pytest.mark.parametrize("alpha", [1, 2])
def test_both_sides_are_monais(mode: str, spatial: tuple[int, ...], alpha: float) -> None:
    case = make(mode, spatial=spatial)
    torch.testing.assert_close(_term(case, _loss((1.0,) * len(spatial), alpha)), _monais(case, alpha))


@pytest.mark.parametrize("spatial", [(9, 8), (6, 7, 5)])
def test_the_truths_side_is_monais_where_nothing_is_predicted(spatial: tuple[int, ...]) -> None:
    case = make("labels", spatial=spatial)
    background = torch.zeros_like(case.logits)
    background[:, 0] = 8
    case = case._replace(logits=case.logits.detach() + background)
    assert (case.logits.softmax(1)[:, 1:] <= 0.5).all()
    torch.testing.assert_close(_term(case, _loss()), _monais(case, 2))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("both", [None, (1.0, 1.0)])
def test_the_terms_gradient_is_that_of_its_value(mode: str, both: tuple[float, ...] | None) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    loss, distances = _loss(both), _distances(case).double()

    def terms(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return loss.terms(
            Prediction(logits, case.target, regions=case.regions, ignore_label=case.ignore_label), distances
        )

    assert torch.autograd.gradcheck(terms, (case.logits,))


def test_both_terms_weigh_the_same_and_weight_says_otherwise() -> None:
    case = make("labels")
    dice = 1 - dice_score(Prediction(case.logits, case.target).counts()).mean()
    for weight in (0, 1, 3):
        criterion = case.criterion(_loss(weight=weight))
        torch.testing.assert_close(criterion(case.logits, case.target), dice)  # no maps, as at lower levels
        criterion.maps = _distances(case)
        torch.testing.assert_close(criterion(case.logits, case.target), (1 + weight) * dice)


def test_a_far_false_alarm_costs_more_than_a_near_one() -> None:
    truth = torch.zeros(1, 1, 16, 16, dtype=torch.int16)
    truth[..., 4:9, 4:9] = 1
    costs = []
    for column in (9, 14):
        predicted = truth[:, 0] > 0
        predicted[..., 5:8, column] = True
        costs.append(
            _term(Case(torch.stack([~predicted, predicted], 1).float() * 40 - 20, truth, False, None), _loss())
        )
    assert costs[1] > 20 * costs[0] > 0
