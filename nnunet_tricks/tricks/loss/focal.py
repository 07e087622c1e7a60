r"""Focal loss: voxels that are right already hardly count.

$-\frac{1}{N} \sum_i \alpha_{t_i} (1 - p_{i,t_i})^\gamma \log p_{i,t_i}$ over the N annotated voxels. Lin et al., "Focal
loss for dense object detection", ICCV 2017, eq. 5: $\alpha$ weighs foreground, $1 - \alpha$ background. ``gamma = 0``
with ``alpha = 0.5`` is half the cross-entropy.

MONAI's ``FocalLoss`` with softmax also averages over the C channels of the one-hot truth, so it is C times smaller. The
trick paper's published code has 0.25 for background and 0.75 for everything else, that is ``alpha = 0.75``. It keeps
the probability of the true class away from 0 and 1.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.class_balance import times
from nnunet_tricks.training.criterion import DecisionWeights, Loss, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.dice import nnunet_dice

PUBLISHED_ALPHA = 0.75
PUBLISHED_SMOOTH = 1e-5


def focal_loss(prediction: Prediction, *, gamma: float, weights: DecisionWeights) -> Tensor:
    """Mean focal loss of the annotated voxels.

    Args:
        prediction: Logits beside their truth.
        gamma: Power by which a voxel loses weight as it gets right, not negative.
        weights: Weights by decision and right answer: alpha, times class balance where there is one.

    Returns:
        A scalar, at least 0; 0 where no voxel is annotated.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.int16)
        >>> focal_loss(Prediction(logits, target), gamma=2, weights=((0.75, 0.25),))  # 0.25 * 0.5^2 * log 2
        tensor(0.0433)
    """
    losses = Focal.apply(prediction.decision_cross_entropy, prediction.decision_weights(weights), None, gamma)
    return prediction.mean(losses)


class Focal(Function):
    r"""$(w (1 - p)^\gamma + v) c$ of cross-entropies $c = -\log p$.

    The gradient is written out, $\partial c = w ((1 - p)^\gamma + \gamma (1 - p)^{\gamma - 1} p c) + v$, and computed
    with the value; autograd would keep every step. It is finite at p = 1, where a power below 1 has no finite slope.
    """

    @staticmethod
    def forward(ctx: Any, cross_entropy: Tensor, weights: Tensor, constant: Tensor | None, gamma: float) -> Tensor:
        """Weigh each cross-entropy.

        Args:
            ctx: Torch's context, which keeps tensors for the backward pass.
            cross_entropy: Cross-entropy of the right answer, any shape.
            weights: Weights of the same shape, which get no gradient.
            constant: Weights that do not fade, of the same shape; ``None`` is 0 everywhere.
            gamma: Power of 1 - p.

        Returns:
            The same shape.
        """
        wrong = _wrong(cross_entropy)
        power = wrong.pow(gamma - 1).mul_(weights)
        slope = (1 - wrong).mul_(cross_entropy).mul_(gamma).add_(wrong).mul_(power)
        losses = power.mul_(wrong).mul_(cross_entropy)
        if constant is not None:
            slope.add_(constant)
            losses.addcmul_(constant, cross_entropy)
        ctx.save_for_backward(slope)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the cross-entropy."""
        (slope,) = ctx.saved_tensors
        return slope * gradient, None, None, None


def _wrong(cross_entropy: Tensor) -> Tensor:
    """1 - p, exact for p near 1, and never 0."""
    return torch.expm1(-cross_entropy).neg_().clamp_min_(1e-12)


def published_focal_loss(prediction: Prediction, *, gamma: float, weights: DecisionWeights) -> Tensor:
    """The trick paper's published code: the true class gets 1e-5 of the others' probability, and 1e-5 more.

    Args:
        prediction: Logits beside their truth.
        gamma: Power as in ``focal_loss``.
        weights: Weights as in ``focal_loss``.

    Returns:
        A scalar.
    """
    right = torch.exp(-prediction.decision_cross_entropy)
    others = 1 if prediction.regions else prediction.logits.shape[1] - 1
    right = (1 - PUBLISHED_SMOOTH) * right + PUBLISHED_SMOOTH / others * (1 - right) + PUBLISHED_SMOOTH
    losses = (1 - right).abs() ** gamma * -right.log()
    return prediction.mean(prediction.decision_weights(weights) * losses)


class nnUNetTrainerFocal(LossTrainer):
    """nnU-Net with the focal loss in place of Dice + cross-entropy."""

    def make_loss(self) -> Loss:
        """The focal loss; with ``mediseg`` that of the published code."""
        settings = self.parameters["Focal"]
        if settings.mediseg:
            weights = times(self.decision_weights(0), (1 - PUBLISHED_ALPHA, PUBLISHED_ALPHA))
            return partial(published_focal_loss, gamma=settings.gamma, weights=weights)
        weights = times(self.decision_weights(settings.cb), (1 - settings.alpha, settings.alpha))
        return partial(focal_loss, gamma=settings.gamma, weights=weights)


class nnUNetTrainerDiceFocal(LossTrainer):
    """nnU-Net with the focal loss in place of its cross-entropy."""

    def make_loss(self) -> Sum:
        """nnU-Net's Dice term and the focal loss."""
        settings = self.parameters["DiceFocal"]
        weights = times(self.decision_weights(settings.cb), (1 - settings.alpha, settings.alpha))
        focal = partial(focal_loss, gamma=settings.gamma, weights=weights)
        return Sum((focal, partial(nnunet_dice, batch=self.batch_dice)))
