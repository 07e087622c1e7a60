r"""Combo loss: a cross-entropy that can lean towards misses or false alarms, and Dice.

$-\frac{\alpha}{NC} \sum_{i,c} (\beta g_{ic} \log p_{ic} + (1 - \beta) (1 - g_{ic}) \log(1 - p_{ic})) - (1 - \alpha) D$
with nnU-Net's Dice term D. Taghanaki et al., "Combo loss: Handling input and output imbalance in multi-organ
segmentation", Computerized Medical Imaging and Graphics 2019, eq. 3, where $\beta (t - \ln p)$ is a misprint for
$\beta t \ln p$. Every class is a question of its own, also in a label map; ``beta`` above 0.5 makes misses worse.
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
"""Margin to 1 of the probabilities of absent classes: a logarithm of 0 has no gradient."""


def combo_loss(prediction: Prediction, *, alpha: float, beta: float, batch: bool) -> Tensor:
    """Leaning cross-entropy and Dice.

    Args:
        prediction: Logits beside their truth.
        alpha: Share of the cross-entropy, in [0, 1]; the rest is Dice.
        beta: Weight of classes where they are, in [0, 1]; their weight elsewhere is 1 - beta.
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
        beta: Weight of classes where they are; their weight elsewhere is 1 - beta.

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
    present = prediction.decision_cross_entropy.sum()
    absent = AbsentEntropy.apply(prediction.log_probabilities, prediction.target, prediction.annotated)
    return (beta * present + (1 - beta) * absent) / (channels * prediction.voxels)


class AbsentEntropy(Function):
    """The sum of -log(1 - p) over the classes that a voxel does not have; one class at a time, to save memory."""

    @staticmethod
    def forward(ctx: Any, log_probabilities: Tensor, target: Tensor, annotated: Tensor | None) -> Tensor:
        """Sum over voxels and absent classes.

        Args:
            ctx: Torch's context, which keeps tensors for the backward pass.
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
            log_probability = log_probabilities[:, c]
            odds = torch.expm1(-log_probability.clamp_max(-SURE)).reciprocal_()
            slopes[:, c] = odds.mul_(_elsewhere(target, annotated, c)).mul_(log_probability < -SURE)
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
