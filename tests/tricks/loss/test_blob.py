from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.blob import BlobLoss
from nnunet_tricks.tricks.targets.maps import Layout
from nnunet_tricks.tricks.targets.objects import objects
from tests.tricks.loss.cases import MODES, Case, make, maps_of, nnunet_loss


def _numbers(case: Case) -> torch.Tensor:
    layout = Layout(case.logits.shape[1] - (0 if case.regions else 1), case.regions, case.ignore_label is not None)
    return maps_of(case, objects, layout).to(case.logits.dtype)


def _criterion(case: Case, alpha: float = 2, beta: float = 1) -> Criterion:
    criterion = case.criterion(BlobLoss(alpha=alpha, beta=beta, batch=False))
    criterion.maps = _numbers(case)
    return criterion


def _transcribed(case: Case) -> torch.Tensor:
    """Object by object: cut all others of the class out, then Dice and cross-entropy of what is left."""
    classes = case.logits.shape[1] - (0 if case.regions else 1)
    p = (case.logits.sigmoid() if case.regions else case.logits.softmax(1))[:, -classes:]
    numbers, means = _numbers(case), []
    for image in range(len(p)):
        for c in range(classes):
            if case.regions:
                truth = case.target[image, c].to(p.dtype)
                ce = F.binary_cross_entropy_with_logits(case.logits[image, c], truth, reduction="none")
            else:
                labels = case.target[image, 0].long()
                ce = F.cross_entropy(case.logits[image][None], labels.clamp_max(2)[None], reduction="none")[0]
            losses = []
            for number in range(1, int(numbers[image, c].max()) + 1):
                mine = numbers[image, c] == number
                left = (mine | (numbers[image, c] == 0)) & case.annotated[image]
                inside, probability = mine[left].to(p.dtype), p[image, c][left]
                dice = (2 * (probability * inside).sum() + 1e-5) / (probability.sum() + inside.sum() + 1e-5)
                losses.append(ce[left].mean() - dice)
            if losses:
                means.append(torch.stack(losses).mean())
    return torch.stack(means).mean()


@pytest.mark.parametrize("mode", MODES)
def test_it_is_nnunets_loss_on_the_whole_and_on_each_object(mode: str) -> None:
    case = make(mode, spatial=(17, 16), dtype=torch.float64)
    # Few enough that not all of them may hang together through ignored voxels.
    sparse = torch.rand(case.target[:, :1].shape, generator=torch.Generator().manual_seed(1)) < 0.9
    if case.regions:
        case.target[:, :2] &= ~sparse
    else:
        case.target[sparse & (case.target < 3)] = 0
    whole = nnunet_loss(case, batch_dice=False)(case.logits, case.target)
    loss = _criterion(case, alpha=0.7, beta=1.5)(case.logits, case.target)
    assert _numbers(case).max() > 2
    torch.testing.assert_close(loss, 0.7 * whole + 1.5 * _transcribed(case))


@pytest.mark.parametrize("mode", MODES)
def test_its_gradient_is_that_of_its_value(mode: str) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    assert torch.autograd.gradcheck(_criterion(case), (case.logits, case.target))


def test_without_objects_it_is_nnunets_loss() -> None:
    case = make("labels")
    case = case._replace(target=torch.zeros_like(case.target))
    default = nnunet_loss(case, batch_dice=False)(case.logits, case.target)
    torch.testing.assert_close(_criterion(case)(case.logits, case.target), 2 * default)


def test_a_small_object_that_is_missed_costs_as_much_as_a_large_one() -> None:
    truth = torch.zeros(1, 1, 40, 40, dtype=torch.int16)
    truth[..., 4:20, 4:20], truth[..., 30:33, 30:33] = 1, 1
    costs = {}
    for missed, box in (("large", (slice(4, 20), slice(4, 20))), ("small", (slice(30, 33), slice(30, 33)))):
        predicted = truth[:, 0] > 0
        predicted[(0, *box)] = False
        logits = torch.stack([~predicted, predicted], 1).float() * 12 - 6
        case = Case(logits, truth, False, None)
        objects_alone = _criterion(case, alpha=0)(logits, truth)
        costs[missed] = (objects_alone, nnunet_loss(case, batch_dice=False)(logits, truth))
    # In Dice of each object alone both are a half of the objects; in the whole the small one hardly counts.
    assert costs["small"][1] < -0.5 < costs["large"][1]
    assert costs["small"][0] > -0.6


def test_a_large_background_keeps_its_digits() -> None:
    """Alike small losses, added one by one to a large float32 sum, are all rounded the same way."""
    truth = torch.zeros(1, 1, 1024, 1024, dtype=torch.int16)
    truth[..., :3, :3] = 1
    logits = torch.tensor([0.0, -6.0]).view(1, 2, 1, 1).repeat(1, 1, 1024, 1024)
    single, double = (_criterion(Case(z, truth, False, None), alpha=0)(z, truth) for z in (logits, logits.double()))
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=0)


def test_weights_that_leave_nothing_to_train_are_refused(loss_of) -> None:
    with pytest.raises(ValueError, match="must not both be 0"):
        loss_of("nnUNetTrainerBlob_alpha0_beta0")
