"""nnU-Net's own trainer without the smoothing term, which the trick repeats."""

from __future__ import annotations

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerDiceLoss import nnUNetTrainerDiceCELoss_noSmooth

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from tests.tricks.loss.cases import MODES, Case, make, nnunet_loss


@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_loss_of_nnunets_trainer(mode: str, bench: Bench, loss_of) -> None:
    case = make(mode, spatial=(6, 5))
    with bench.room(nnUNetTrainerDiceCELoss_noSmooth, Situation(mode, "2d", False)) as run:
        trainer = run.build()
        batch_dice = trainer.configuration_manager.batch_dice
        theirs = trainer.loss(case.logits, case.target)
    mine = case.criterion(loss_of("nnUNetTrainerNoSmooth", mode, batch_dice=batch_dice))(case.logits, case.target)
    torch.testing.assert_close(mine, theirs)
    gradients = [torch.autograd.grad(loss, case.logits)[0] for loss in (mine, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_with_every_class_in_the_patch_it_is_nnunets_default(mode: str, batch_dice: bool, loss_of) -> None:
    case = make(mode, spatial=(12, 10))
    mine = case.criterion(loss_of("nnUNetTrainerNoSmooth", mode, batch_dice=batch_dice))(case.logits, case.target)
    torch.testing.assert_close(mine, nnunet_loss(case, batch_dice=batch_dice)(case.logits, case.target))


@pytest.mark.parametrize("logit", [-5.0, -20.0, -40.0])
def test_a_patch_without_a_class_does_not_ask_for_less_of_it(logit: float, loss_of) -> None:
    logits = torch.tensor([0.0, logit]).view(1, 2, 1, 1).repeat(1, 1, 32, 32).requires_grad_()
    case = Case(logits, torch.zeros(1, 1, 32, 32, dtype=torch.int16), False, None)
    loss = case.criterion(loss_of("nnUNetTrainerNoSmooth"))
    cross_entropy = torch.nn.functional.cross_entropy(logits, case.target[:, 0].long())
    torch.testing.assert_close(loss(logits, case.target), cross_entropy)
    smoothed = nnunet_loss(case, batch_dice=False)(logits, case.target) - cross_entropy
    (gradient,) = torch.autograd.grad(smoothed, logits)
    # This is what nnU-Net's own term adds: it pays for driving the class below 1e-5 voxels.
    assert gradient[:, 1].sum() > (1e-2 if logit == -20 else 0)
