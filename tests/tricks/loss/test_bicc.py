from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.plans_file import NO_RESAMPLING
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.bicc import BiCCLoss, cells_of_prediction, predicted_term
from nnunet_tricks.tricks.loss.cc_dice import CCDiceLoss
from tests.tricks.loss.cases import MODES, Case
from tests.tricks.loss.test_cc_dice import cells_of, criterion, prediction, sparse


def _bicc(case: Case, alpha: float = 0.5) -> Criterion:
    made = case.criterion(BiCCLoss(alpha=alpha, spacing=None, batch=False))
    made.maps = cells_of(case)
    return made


def _sure(mode: str, **settings: object) -> Case:
    """A case in which objects are predicted: logits are large, and background the likeliest."""
    case = sparse(mode, **settings)
    with torch.no_grad():
        case.logits.mul_(4)
        if case.regions:
            case.logits.sub_(5)
        else:
            case.logits[:, 0] += 5
    return case


def _explicitly(case: Case) -> Tensor:
    """Cell by cell of predicted objects, with a mask for each."""
    made = prediction(case)
    numbers = cells_of_prediction(made, cells_of(case), None)
    p = made.probabilities[:, -numbers.shape[1] :]
    truth = made.one_hot()[:, -numbers.shape[1] :]
    images = []
    for image in range(len(p)):
        of_classes, losses = [], []
        for c in range(numbers.shape[1]):
            ce = made.decision_cross_entropy[image, c if case.regions else 0]
            losses.append(ce[case.annotated[image]].mean())
            costs = []
            for number in range(1, int(numbers[image, c].max()) + 1):
                mine = numbers[image, c] == number
                probability, inside = p[image, c][mine], truth[image, c][mine]
                if inside.any():
                    costs.append(ce[mine].mean() - 2 * (probability * inside).sum() / (probability + inside).sum())
                else:
                    still = probability.detach()
                    costs.append(ce[mine].mean() + (probability * still).sum() / still.sum() - 1)
            if costs:
                of_classes.append(torch.stack(costs).mean())
        images.append(torch.stack(of_classes or losses).mean())
    return torch.stack(images).mean()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spatial", [(17, 16), (6, 7, 8)])
def test_it_is_the_mean_over_masks_of_predicted_cells(mode: str, spatial: tuple[int, ...]) -> None:
    case = _sure(mode, spatial=spatial)
    case.target[0] = case.target[0].new_zeros(()) if not case.regions else False
    numbers = cells_of_prediction(prediction(case), cells_of(case), None)
    assert numbers.max() > 2
    term, expected = predicted_term(prediction(case), numbers), _explicitly(case)
    torch.testing.assert_close(term, expected)
    of_term, of_expected = (torch.autograd.grad(value, case.logits)[0] for value in (term, expected))
    torch.testing.assert_close(of_term, of_expected)


@pytest.mark.parametrize("mode", MODES)
def test_with_alpha_0_it_is_cc_dice(mode: str) -> None:
    case = _sure(mode)
    values = [made(case.logits, case.target) for made in (_bicc(case, 0), criterion(case))]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, case.logits)[0] for value in values))


def test_a_perfect_prediction_has_the_same_cells_in_both_directions() -> None:
    truth = torch.zeros(1, 1, 12, 30, dtype=torch.int16)
    truth[..., 2:5, 3:6], truth[..., 7:9, 20:24] = 1, 1
    logits = (F.one_hot(truth[:, 0].long(), 2).movedim(-1, 1) * 40.0).double()
    case = Case(logits, truth, False, None)
    assert torch.equal(cells_of_prediction(prediction(case), cells_of(case), None), cells_of(case))
    values = [_bicc(case, alpha)(logits, truth) for alpha in (0, 0.5, 1)]
    assert max(values) - min(values) < 1e-6


def test_a_false_object_costs_the_more_the_larger_alpha_is_and_not_by_its_size() -> None:
    truth = torch.zeros(1, 1, 30, 60, dtype=torch.int16)
    truth[..., 10:20, 10:20] = 1
    costs = {}
    for side in (0, 2, 8):
        predicted = truth[:, 0].long()
        predicted[:, 10 : 10 + side, 45 : 45 + side] = 1
        logits = (F.one_hot(predicted, 2).movedim(-1, 1) * 12.0).double()
        case = Case(logits, truth, False, None)
        made = prediction(case)
        dice_alone = torch.zeros_like(made.decision_cross_entropy)
        made.__dict__["decision_cross_entropy"] = dice_alone
        costs[side] = predicted_term(made, cells_of_prediction(made, cells_of(case), None)).item()
    assert costs[0] == pytest.approx(-1, abs=0.02)
    # One of two cells is false: its cost is nearly 0 in place of -1, whatever its size.
    assert costs[2] == pytest.approx(costs[8], abs=0.02)
    assert costs[2] == pytest.approx(-0.5, abs=0.1)


def test_a_missed_class_is_judged_as_a_whole_and_what_is_nowhere_by_cross_entropy() -> None:
    truth = torch.zeros(2, 1, 9, 9, dtype=torch.int16)
    truth[0, :, 2:5, 2:5] = 1
    logits = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    logits[:, 0] += 20
    case = Case(logits.requires_grad_(), truth, False, None)
    numbers = cells_of_prediction(prediction(case), cells_of(case), None)
    assert (numbers[0, 0] == 1).all()
    assert not numbers[0, 1].any()
    assert not numbers[1].any()
    loss = case.criterion(CCDiceLoss(alpha=0, beta=1, batch=False))
    loss.maps = cells_of(case)
    torch.testing.assert_close(predicted_term(prediction(case), numbers), loss(logits, truth))


def test_voxels_that_plans_do_not_have_are_refused_before_a_folder_is_made() -> None:
    with Bench() as own:
        for name, refused in (("BiCC", True), ("BiCC_voxels", False)):
            cls = trainers.find(f"nnUNetTrainer{name}")
            assert cls is not None
            with own.room(cls, Situation("labels", "3d", True)) as run:
                for configuration in run.data.plans["configurations"].values():
                    configuration["resampling_fn_data"] = NO_RESAMPLING
                if refused:
                    with pytest.raises(ValueError, match="take BiCC_voxels, or plans with one spacing"):
                        run.build()
                    assert not list((run.folder / "results").rglob("fold_*"))
                else:
                    run.build()
