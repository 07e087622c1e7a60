from __future__ import annotations

import pytest
import torch
from monai.losses.cldice import SoftclDiceLoss, soft_skel

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.loss.cldice import ClDice, cl_dice, soft_skeleton
from nnunet_tricks.tricks.loss.dice import dice_score
from tests.tricks.loss.cases import MODES, Case, make


@pytest.mark.parametrize("spatial", [(13, 11), (7, 9, 8)])
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_the_soft_skeleton_is_monais_and_so_is_its_gradient(spatial: tuple[int, ...], iterations: int) -> None:
    image = torch.rand(2, 2, *spatial, dtype=torch.float64, requires_grad=True)
    ours, theirs = soft_skeleton(image, iterations), soft_skel(image, iterations)
    torch.testing.assert_close(ours, theirs)
    direction = torch.rand_like(ours)
    torch.testing.assert_close(*(torch.autograd.grad(skeleton, image, direction)[0] for skeleton in (ours, theirs)))


@pytest.mark.parametrize("mode", ["labels", "regions"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_centre_line_dice_of_each_class_is_monais(mode: str, iterations: int) -> None:
    case = make(mode, spatial=(7, 9, 8))
    prediction = Prediction(case.logits, case.target, regions=case.regions)
    first = 0 if case.regions else 1
    reference = SoftclDiceLoss(iter_=iterations, smooth=1e-12, reduction="none")
    p, g = prediction.probabilities[:, first:], prediction.one_hot()[:, first:]
    # MONAI sums over the classes of an image, so each goes in alone.
    expected = [reference(p[:, [c]], g[:, [c]]) for c in range(p.shape[1])]
    torch.testing.assert_close(1 - cl_dice(prediction, iterations), torch.stack(expected, 1))


@pytest.mark.parametrize("mode", MODES)
def test_alpha_moves_from_dice_to_centre_line_dice(mode: str) -> None:
    case = make(mode)
    prediction = Prediction(case.logits, case.target, regions=case.regions, ignore_label=case.ignore_label)
    dice, centre = dice_score(prediction.counts()).mean(), cl_dice(prediction, 2).mean()
    for alpha in (0, 0.3, 1):
        loss = case.criterion(ClDice(alpha=alpha, iterations=2, batch=False))(case.logits, case.target)
        torch.testing.assert_close(loss, 1 - (1 - alpha) * dice - alpha * centre)


def test_a_gap_in_a_vessel_costs_more_than_as_many_voxels_at_its_wall() -> None:
    truth = torch.zeros(1, 1, 24, 24, dtype=torch.int16)
    truth[..., 2:22, 8:15] = 1
    gap, wall = truth[:, 0] > 0, truth[:, 0] > 0
    gap[..., 11:13, :] = False
    wall[..., 4:18, 8] = False
    assert gap.sum() == wall.sum()
    costs = []
    for predicted in (gap, wall):
        case = Case(torch.stack([~predicted, predicted], 1).float() * 40 - 20, truth, False, None)
        costs.append(case.criterion(ClDice(alpha=1, iterations=4, batch=False))(case.logits, case.target))
    assert costs[0] > 2 * costs[1]
