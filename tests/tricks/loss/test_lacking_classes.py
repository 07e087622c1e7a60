"""Any loss, on samples whose case is not annotated for a class: ``nnUNetTrainer<loss>_PartialLabels``."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.tricks.partial.merging import PartialLoss, exclusion
from tests.tricks.loss.cases import IGNORE, MODES, Case, make

NAMES = [info.trainer for info in CATALOGUE if "loss" in info.hooks]
LACKING = ((1,), ())
"""The first sample lacks the second channel."""


def partly(mode: str, **settings) -> Case:
    """A case whose first sample has no voxel of the second channel."""
    case = make(mode, **settings)
    if case.regions:
        case.target[0, 1] = False
    else:
        case.target[0][case.target[0] == 1] = 0
    return case


def partial_loss(case: Case, loss, lacking=LACKING, weight: float = 0) -> PartialLoss:
    partial = PartialLoss(loss, regions=case.regions, ignore_label=case.ignore_label, weight=weight)
    partial.lacking = lacking
    return partial


def nnunets(mode: str, *, batch_dice: bool = False) -> torch.nn.Module:
    regions, ignore = mode.startswith("regions"), mode.endswith("ignore")
    dice = {"batch_dice": batch_dice, "do_bg": regions, "smooth": 1e-5, "ddp": False}
    if regions:
        return DC_and_BCE_loss({}, dice, use_ignore_label=ignore, dice_class=MemoryEfficientSoftDiceLoss)
    label = IGNORE if ignore else None
    return DC_and_CE_loss(dice, {}, ignore_label=label, dice_class=MemoryEfficientSoftDiceLoss)


def shifted(case: Case, amount: float = 1.5) -> Tensor:
    """Logits with other probabilities of what the first sample lacks; in label maps background makes up for it."""
    logits = case.logits.detach().clone()
    if case.regions:
        logits[0, 1] += amount
        return logits
    together = logits[0, :2].logsumexp(0)
    logits[0, 1] = together + F.logsigmoid(torch.full_like(together, amount))
    logits[0, 0] = together + F.logsigmoid(torch.full_like(together, -amount))
    return logits


@pytest.mark.parametrize("name", ["nnU-Net's", *NAMES])
@pytest.mark.parametrize("mode", MODES)
def test_no_loss_pushes_or_pulls_what_a_case_lacks(name: str, mode: str, criterion_of) -> None:
    case = partly(mode)
    loss = nnunets(mode) if name == "nnU-Net's" else criterion_of(name, mode, case)
    partial = partial_loss(case, loss)
    value = partial(case.logits, case.target)
    (gradient,) = torch.autograd.grad(value, case.logits)
    assert value.isfinite()
    assert gradient.isfinite().all()
    torch.testing.assert_close(partial(shifted(case), case.target), value.detach(), rtol=1e-4, atol=1e-5)
    if case.regions:
        assert not gradient[0, 1].any()
    else:
        # All the gradient comes through the sum, so each has its share of it.
        shares = case.logits[0, :2].softmax(0)
        together = gradient[0, :2].sum(0)
        torch.testing.assert_close(gradient[0, :2], shares * together, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lacking", [(), ((), ()), ((), (), (1,))], ids=["not told", "all annotated", "other batch"])
def test_where_nothing_lacks_it_is_the_loss_bit_for_bit(mode: str, lacking) -> None:
    case = make(mode)
    results = []
    for loss in (nnunets(mode), partial_loss(case, nnunets(mode), lacking, weight=3)):
        value = loss(case.logits, case.target)
        results.append((value, *torch.autograd.grad(value, case.logits)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_label_maps_are_scored_as_by_nnunet_without_the_class() -> None:
    case = partly("labels", batch=1)
    mine = partial_loss(case, nnunets("labels"), ((1,),))(case.logits, case.target)
    without = torch.stack([case.logits[:, :2].logsumexp(1), case.logits[:, 2]], 1)
    labels = (case.target == 2).long()
    entropy = F.cross_entropy(without, labels[:, 0])
    p, g = without.softmax(1)[:, 1], labels[:, 0]
    dice = (2 * (p * g).sum() + 1e-5) / (p.sum() + g.sum() + 1e-5)
    # A class that lacks has a Dice of 1 in nnU-Net's mean over two classes: a constant.
    torch.testing.assert_close(mine, entropy - (dice + 1) / 2)


def test_batch_dice_sums_only_samples_that_are_annotated() -> None:
    case = partly("regions")
    mine = partial_loss(case, nnunets("regions", batch_dice=True))(case.logits, case.target)
    p, g = case.logits.sigmoid(), case.target.float()

    def dice(p: Tensor, g: Tensor) -> Tensor:
        return (2 * (p * g).sum() + 1e-5) / (p.sum() + g.sum() + 1e-5)

    losses = F.binary_cross_entropy_with_logits(case.logits, g, reduction="none")
    losses[0, 1] = 0
    expected = losses.mean() - (dice(p[:, 0], g[:, 0]) + dice(p[1, 1], g[1, 1])) / 2
    torch.testing.assert_close(mine, expected)


def test_a_case_without_any_class_teaches_nothing() -> None:
    case = make("labels", batch=1)
    target = torch.zeros_like(case.target)
    value = partial_loss(case, nnunets("labels"), ((1, 2),))(case.logits, target)
    (gradient,) = torch.autograd.grad(value, case.logits)
    assert gradient.abs().max() < 1e-7


@pytest.mark.parametrize("mode", MODES)
def test_gradient_is_that_of_the_value(mode: str, loss_of) -> None:
    case = partly(mode, spatial=(3, 4), dtype=torch.float64)
    plain = case.criterion(loss_of("nnUNetTrainerTverskyCE", mode))
    weight = 0 if case.regions else 0.5
    assert torch.autograd.gradcheck(partial_loss(case, plain, weight=weight), (case.logits, case.target))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_and_no_more(kind: torch.dtype) -> None:
    case = partly("labels")
    partial = partial_loss(case, lambda logits, target: F.cross_entropy(logits.float(), target[:, 0].long()))
    low = case.logits.detach().to(kind).requires_grad_()
    torch.testing.assert_close(partial(low, case.target), partial(low.float(), case.target), rtol=1e-2, atol=1e-2)
    partial(low, case.target).backward()
    assert low.grad is not None
    assert low.grad.dtype == kind


def test_exclusion_is_against_unknown_classes_on_known_ones_only() -> None:
    case = partly("labels+ignore")
    value = exclusion(case.logits, case.target, LACKING, IGNORE)
    (gradient,) = torch.autograd.grad(value, case.logits)
    known = (case.target[0, 0] > 0) & (case.target[0, 0] < IGNORE)
    assert (gradient[0, 1][known] > 0).all()
    assert not gradient[0, :, case.target[0, 0] == IGNORE].any()
    assert not gradient[1].any()
    never = case.logits.detach().clone()
    never[:, 1] = -1e4
    assert exclusion(never, case.target, LACKING, IGNORE) == 0
