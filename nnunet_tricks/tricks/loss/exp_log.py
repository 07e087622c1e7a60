r"""Exponential logarithmic loss: powers of logarithms, by which moderately wrong classes and voxels count most.

$0.8 \, E_c[(-\ln D_c)^\gamma] + 0.2 \, E_i[w_{t_i} (-\ln p_{i,t_i})^\gamma]$ with the Dice $D_c$ of foreground class c
and $w_c = \sqrt{\sum_k f_k / f_c}$ of the training fold's frequencies f. Wong et al., "3D segmentation with exponential
logarithmic loss for highly unbalanced object sizes", MICCAI 2018, eqs. 1 to 4; the survey's Eqs. 13 to 17. A power
below 1 has no finite gradient at 0. So logarithms are kept above 1e-6; a class or voxel that is right teaches nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nnunet_tricks.training.class_balance import VoxelCounts
from nnunet_tricks.training.criterion import DecisionWeights, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.dice import dice_score

FLOOR = 1e-6
"""Smallest logarithm with a gradient."""


@dataclass(frozen=True, kw_only=True)
class ExpLog:
    """The weighted sum of both parts.

    Attributes:
        share: Share of the Dice part; the rest is cross-entropy's.
        gamma: Power in both parts.
        weights: Weights of voxels, by decision and right answer.
        batch: Whether the batch counts as one image for Dice.
    """

    with_logs: ClassVar[bool] = True

    share: float
    gamma: float
    weights: DecisionWeights
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar, at least 0."""
        # Both parts need the logarithms of probabilities; made first, the sums take theirs from them.
        voxels = Power.apply(prediction.decision_cross_entropy, prediction.decision_weights(self.weights), self.gamma)
        overlap = -dice_score(prediction.counts(batch=self.batch)).clamp_min(1e-12).log()
        classes = Power.apply(overlap, torch.ones_like(overlap), self.gamma).mean()
        return self.share * classes + (1 - self.share) * prediction.mean(voxels)


class Power(Function):
    r"""$w x^\gamma$, and 0 with a gradient of 0 where x is next to 0."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, gamma: float) -> Tensor:
        """Raise each value to a power.

        Args:
            ctx: Torch's context, which keeps tensors for the backward pass.
            values: Values that are not negative, any shape.
            weights: Weights of the same shape, which get no gradient.
            gamma: Power.

        Returns:
            The same shape.
        """
        powers = values.clamp_min(FLOOR).pow_(gamma).mul_(weights).mul_(values > FLOOR)
        ctx.save_for_backward(values, powers)
        ctx.gamma = gamma
        return powers

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the values: gamma times power, divided by value."""
        values, powers = ctx.saved_tensors
        return (powers / values.clamp_min(FLOOR)).mul_(ctx.gamma).mul_(gradient), None, None


def root_of_rarity(counts: VoxelCounts) -> DecisionWeights:
    """Wong's weights: the root of all voxels over those of the class.

    Args:
        counts: Voxel counts of the training fold.

    Returns:
        Weights by decision and right answer; 0 for a class that does not occur.

    Examples:
        >>> root_of_rarity(VoxelCounts(("background", "kidney"), (75, 25), 100, False))
        ((1.1547005383792515, 2.0),)
        >>> root_of_rarity(VoxelCounts(("kidney",), (25,), 100, True))
        ((1.1547005383792515, 2.0),)
    """
    rows = [(counts.annotated - n, n) for n in counts.voxels] if counts.regions else [counts.voxels]
    return tuple(tuple(math.sqrt(sum(row) / n) if n else 0.0 for n in row) for row in rows)


class nnUNetTrainerExpLog(LossTrainer):
    """nnU-Net with the exponential logarithmic loss in place of Dice + cross-entropy."""

    def make_loss(self) -> ExpLog:
        """Powers of the logarithms of Dice and of probabilities."""
        settings = self.parameters["ExpLog"]
        weights = root_of_rarity(self.count_voxels())
        return ExpLog(share=settings.share, gamma=settings.gamma, weights=weights, batch=self.batch_dice)
