r"""Soft Dice: overlap of prediction and truth, whatever the size of the object.

$1 - \frac{2 TP + s}{P + G + s}$ per class, with $TP = \sum p g$, $P = \sum p$ and $G = \sum g$; V-Net (Milletari et
al., 3DV 2016) has $P = \sum p^2$. The survey's Eq. 7 prints the two denominators mixed.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from nnunet_tricks.training.criterion import Counts, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.overlap import OverlapLoss


def dice_score(counts: Counts, *, smooth: float = 1e-5) -> Tensor:
    """Soft Dice coefficient in [0, 1].

    Args:
        counts: Soft voxel counts.
        smooth: Summand of numerator and denominator, in voxels, so that an absent class that is not predicted scores 1.
            The default is nnU-Net's.

    Returns:
        One score for each count.

    Examples:
        >>> import torch
        >>> dice_score(Counts(tp=torch.tensor(6.0), predicted=torch.tensor(8.0), truth=torch.tensor(8.0)), smooth=0)
        tensor(0.7500)
    """
    return (2 * counts.tp + smooth) / (counts.predicted + counts.truth + smooth)


def nnunet_dice(prediction: Prediction, *, batch: bool) -> Tensor:
    """nnU-Net's own Dice term: minus the mean score, from -1 (perfect) to 0.

    Args:
        prediction: Logits beside their truth.
        batch: Whether the batch counts as one image.

    Returns:
        A scalar.
    """
    return -dice_score(prediction.counts(batch=batch)).mean()


class nnUNetTrainerDice(LossTrainer):
    """nnU-Net with soft Dice alone in place of Dice + cross-entropy."""

    def make_loss(self) -> OverlapLoss:
        """Dice of the foreground; with ``mediseg`` Dice of all classes, image by image."""
        settings = self.parameters["Dice"]
        if settings.mediseg:
            return OverlapLoss(
                score=partial(dice_score, smooth=1e-8), batch=False, background=True, squared=settings.squared
            )
        weights = self.overlap_weights(settings.cb)
        return OverlapLoss(score=dice_score, batch=self.batch_dice, squared=settings.squared, weights=weights)
