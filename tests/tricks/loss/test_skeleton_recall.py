import numpy as np
import pytest
import torch

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.skeleton_recall import SkeletonRecall
from nnunet_tricks.tricks.targets.skeleton import tubed_skeleton
from tests.tricks.loss.cases import MODES, make, nnunet_loss


def _criterion(case, maps: torch.Tensor | None, weight: float = 1) -> Criterion:
    criterion = case.criterion(SkeletonRecall(weight=weight, batch=False))
    criterion.maps = maps
    return criterion


@pytest.mark.parametrize("mode", MODES)
def test_adds_the_share_of_the_skeletons_that_is_missed(mode: str) -> None:
    case = make(mode)
    classes = case.logits.shape[1] - (0 if case.regions else 1)
    # The truth, and so its skeleton, is nowhere where nothing is annotated.
    skeletons = (torch.rand(2, classes, *case.logits.shape[2:]) < 0.1).float() * case.annotated[:, None]
    p = (case.logits.sigmoid() if case.regions else case.logits.softmax(1))[:, -classes:]
    recall = torch.stack(
        [(p[b, c] * skeletons[b, c]).sum() / skeletons[b, c].sum() for b in (0, 1) for c in range(classes)]
    )
    expected = nnunet_loss(case, batch_dice=False)(case.logits, case.target) + 0.5 * (1 - recall.mean())
    torch.testing.assert_close(_criterion(case, skeletons, 0.5)(case.logits, case.target), expected)


@pytest.mark.parametrize("mode", MODES)
def test_its_gradient_is_that_of_its_value(mode: str) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    skeletons = (torch.rand(2, case.logits.shape[1] - (0 if case.regions else 1), 3, 4) < 0.4).double()
    assert torch.autograd.gradcheck(_criterion(case, skeletons), (case.logits, case.target))


def test_without_a_skeleton_or_at_another_size_it_is_nnunets_loss() -> None:
    case = make("labels")
    default = nnunet_loss(case, batch_dice=False)(case.logits, case.target)
    for maps in (None, torch.zeros(2, 2, *case.logits.shape[2:]), torch.ones(2, 2, 9, 9, 9)):
        torch.testing.assert_close(_criterion(case, maps)(case.logits, case.target), default)


def test_a_gap_in_a_vessel_costs_more_than_as_many_voxels_at_its_wall() -> None:
    truth = np.zeros((24, 24), bool)
    truth[2:22, 8:15] = True
    skeleton = torch.from_numpy(tubed_skeleton(truth, (1, 1)))[None, None]
    gap, thin = truth.copy(), truth.copy()
    gap[11:13] = False
    thin[4:18, 8] = False
    target = torch.from_numpy(truth)[None, None].to(torch.int16)
    case = make("labels")._replace(target=target)
    costs = []
    for predicted in (gap, thin):
        mask = torch.from_numpy(predicted)[None]
        logits = torch.stack([~mask, mask], 1).float() * 40 - 20
        costs.append(_criterion(case, skeleton)(logits, target) - _criterion(case, None)(logits, target))
    assert gap.sum() == thin.sum()
    assert costs[0] > 0.05
    assert costs[1] < 1e-4
