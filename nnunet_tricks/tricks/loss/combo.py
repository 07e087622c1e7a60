r"""Combo loss: a cross-entropy that can lean towards misses or false alarms, and Dice.

$-\frac{\alpha}{NC} \sum_{i,c} (\beta g_{ic} \log p_{ic} + (1 - \beta) (1 - g_{ic}) \log(1 - p_{ic})) - (1 - \alpha) D$
with nnU-Net's Dice term D. Taghanaki et al., "Combo loss: Handling input and output imbalance in multi-organ
segmentation", Computerized Medical Imaging and Graphics 2019, eq. 3, where $\beta (t - \ln p)$ is a misprint for
$\beta t \ln p$. Every class is asked about on its own, also in a label map; ``beta`` above 0.5 makes misses worse.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.criterion import Loss, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.dice import nnunet_dice

SURE = 1e-7
"""Probabilities of what is not there are kept below one minus this: a logarithm of 0 has no gradient."""


def combo_loss(prediction: Prediction, *, alpha: float, beta: float, batch: bool) -> Tensor:
    """Leaning cross-entropy and Dice.

    Args:
        prediction: Logits beside their truth.
        alpha: Share of the cross-entropy, in [0, 1]; the rest is Dice.
        beta: Weight of what is there, in [0, 1]; that of what is not is 1 - beta.
        batch: Whether the batch counts as one image for Dice.

    Returns:
        A scalar, at least alpha - 1.
    """
    entropy = leaning_cross_entropy(prediction, beta=beta)
    return alpha * entropy + (1 - alpha) * nnunet_dice(prediction, batch=batch)


def leaning_cross_entropy(prediction: Prediction, *, beta: float) -> Tensor:
    """Mean over annotated voxels and classes (or regions) of the binary cross-entropies.

    Args:
        prediction: Logits beside their truth.
        beta: Weight of what is there.

    Returns:
        A scalar, at least 0.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.int16)
        >>> leaning_cross_entropy(Prediction(logits, target), beta=0.5)  # log 2 / 2
        tensor(0.3466)
    """
    channels = prediction.logits.shape[1]
    if prediction.regions:
        answers = prediction.decisions
        weights = torch.where(answers.bool(), beta, 1 - beta)
        return (weights * prediction.decision_cross_entropy).sum() / (channels * prediction.voxels)
    there = prediction.decision_cross_entropy.sum()
    others = NotThere.apply(prediction.log_probabilities, prediction.target, prediction.annotated)
    return (beta * there + (1 - beta) * others) / (channels * prediction.voxels)


class NotThere(Function):
    """The sum of -log(1 - p) over the classes that a voxel is not; one class at a time, as memory goes."""

    @staticmethod
    def forward(ctx: Any, log_probabilities: Tensor, target: Tensor, annotated: Tensor | None) -> Tensor:
        """Sum.

        Args:
            ctx: For the backward pass.
            log_probabilities: (B, C, *spatial).
            target: (B, 1, *spatial) class indices.
            annotated: (B, *spatial), true where a voxel counts; ``None`` where all do.

        Returns:
            A scalar, at least 0.
        """
        ctx.save_for_backward(log_probabilities, target, annotated)
        total = log_probabilities.new_zeros(())
        for c in range(log_probabilities.shape[1]):
            losses = torch.expm1(log_probabilities[:, c].clamp_max(-SURE)).neg_().log_().neg_()
            total += losses.mul_(_elsewhere(target, annotated, c)).sum()
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the log-probabilities, p / (1 - p)."""
        log_probabilities, target, annotated = ctx.saved_tensors
        slopes = torch.empty_like(log_probabilities)
        for c in range(log_probabilities.shape[1]):
            one = log_probabilities[:, c]
            odds = torch.expm1(-one.clamp_max(-SURE)).reciprocal_()
            slopes[:, c] = odds.mul_(_elsewhere(target, annotated, c)).mul_(one < -SURE)
        return slopes.mul_(gradient), None, None


def _elsewhere(target: Tensor, annotated: Tensor | None, channel: int) -> Tensor:
    other = target[:, 0] != channel
    return other if annotated is None else other & annotated


class nnUNetTrainerCombo(LossTrainer):
    """nnU-Net with the combo loss in place of Dice + cross-entropy."""

    def make_loss(self) -> Loss:
        """The combo loss."""
        settings = self.parameters["Combo"]
        return Sum((partial(combo_loss, alpha=settings.alpha, beta=settings.beta, batch=self.batch_dice),))
