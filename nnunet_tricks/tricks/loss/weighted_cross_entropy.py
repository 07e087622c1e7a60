r"""Weighted cross-entropy: voxels of rare classes count more.

$-\sum_i w_{t_i} \log p_{i,t_i} / \sum_i w_{t_i}$ over the annotated voxels of the batch is torch's weighted mean.
``plain`` is $-\frac{1}{N} \sum_i w_{t_i} \log p_{i,t_i}$, which for weights (1, b) is the survey's Eq. 2. With equal
weights both are cross-entropy; so is the first where a batch holds one class only.

Each region of region-based training is a question of its own, with a weight for inside and one for outside.

Without ``weights`` they come from the training fold's voxels: inverse frequency, or by the effective number of samples
(``nnunet_tricks.training.class_balance``). The trick paper's published code has 0.2 for background and 0.8 for
foreground, and fails if there are more than two classes; here all foreground classes get 0.8.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.training.class_balance import times
from nnunet_tricks.training.criterion import IGNORE_INDEX, DecisionWeights, Loss, Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.dice import nnunet_dice

PUBLISHED = (0.2, 0.8)


def weighted_cross_entropy(prediction: Prediction, *, weights: DecisionWeights, plain: bool = False) -> Tensor:
    """Weighted mean cross-entropy of the annotated voxels.

    Args:
        prediction: Logits beside their truth.
        weights: Weights by decision and right answer.
        plain: Whether to divide by the number of voxels and not by the sum of their weights.

    Returns:
        A scalar, at least 0; 0 where no voxel is annotated.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.int16)
        >>> weighted_cross_entropy(Prediction(logits, target), weights=((0.5, 2.0),))  # log 2
        tensor(0.6931)
        >>> weighted_cross_entropy(Prediction(logits, target), weights=((0.5, 2.0),), plain=True)
        tensor(0.3466)
    """
    if prediction.regions:
        return _of_regions(prediction, weights, plain)
    labels, row = prediction.labels, prediction.logits.new_tensor(weights[0])
    total = F.nll_loss(prediction.log_probabilities, labels, weight=row, ignore_index=IGNORE_INDEX, reduction="sum")
    if plain:
        return total / prediction.voxels
    annotated = labels if prediction.annotated is None else labels[prediction.annotated]
    return _divided(total, (annotated.flatten().bincount(minlength=len(row)) * row).sum())


def _of_regions(prediction: Prediction, weights: DecisionWeights, plain: bool) -> Tensor:
    image = prediction.decision_weights(weights)
    losses = image * prediction.decision_cross_entropy
    if plain:
        return prediction.mean(losses)
    space = (0, *range(2, losses.ndim))
    return prediction.sum_decisions(_divided(losses.sum(space), image.sum(space))[None])[0]


def _divided(total: Tensor, weight: Tensor) -> Tensor:
    return total / weight.where(weight > 0, 1)


class WeightedTrainer(LossTrainer):
    """A trainer with fixed weights of classes, or weights by the voxels of the training fold.

    Attributes:
        weighted_trick: Name of the trick in the catalogue; its parameter ``weights`` holds the fixed weights.
    """

    weighted_trick: ClassVar[str]

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse fixed weights that are too few or too many for the classes, or leave nothing to train."""
        super().check_planned(planned)
        trick, names = cls.weighted_trick, planned.class_names
        weights = cls.parameters[trick].weights
        if weights and len(weights) != len(names):
            raise ValueError(
                f"weights of {trick} must hold {len(names)} numbers, one for each of {', '.join(names)}; got "
                f"{len(weights)}: {', '.join(f'{weight:g}' for weight in weights)}"
            )
        if weights and not any(weights):
            raise ValueError(f"weights of {trick} must not all be 0: it would be 0 whatever is predicted")

    def class_weights(self) -> DecisionWeights:
        """The fixed weights, or weights by the voxels of the training fold."""
        settings = self.parameters[self.weighted_trick]
        if not settings.weights:
            return self.decision_weights(settings.cb)
        return tuple((1.0, weight) for weight in settings.weights) if self.has_regions else (settings.weights,)


class nnUNetTrainerWCE(WeightedTrainer):
    """nnU-Net with weighted cross-entropy in place of Dice + cross-entropy."""

    weighted_trick = "WCE"

    def make_loss(self) -> Loss:
        """Weighted cross-entropy; with ``mediseg`` with the published code's weights."""
        settings = self.parameters["WCE"]
        if settings.mediseg:
            return partial(weighted_cross_entropy, weights=times(self.decision_weights(0), PUBLISHED))
        return partial(weighted_cross_entropy, weights=self.class_weights(), plain=settings.plain)


class nnUNetTrainerDiceWCE(WeightedTrainer):
    """nnU-Net with weighted cross-entropy in place of its own."""

    weighted_trick = "DiceWCE"

    def make_loss(self) -> Sum:
        """nnU-Net's Dice term and weighted cross-entropy."""
        plain = self.parameters["DiceWCE"].plain
        weighted = partial(weighted_cross_entropy, weights=self.class_weights(), plain=plain)
        return Sum((weighted, partial(nnunet_dice, batch=self.batch_dice)))
