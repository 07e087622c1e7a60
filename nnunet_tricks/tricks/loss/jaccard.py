r"""Soft Jaccard: intersection over union of prediction and truth.

$1 - \frac{TP + s}{TP + FP + FN + s}$ on soft counts. Rahman and Wang, "Optimizing intersection-over-union in deep
neural networks for image segmentation", ISVC 2016, eq. 4. It is Tversky with ``alpha = beta = 1`` and, of one class, $J
= D / (2 - D)$ of Dice D. It prefers the same prediction, but bad classes count more.
"""

from __future__ import annotations

from torch import Tensor

from nnunet_tricks.training.criterion import Counts
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.overlap import OverlapLoss


def jaccard_index(counts: Counts, *, smooth: float = 5e-6) -> Tensor:
    """Soft Jaccard index in [0, 1].

    Args:
        counts: Soft voxel counts.
        smooth: Summand of numerator and denominator, in voxels, so that an absent class that is not predicted scores 1.

    Returns:
        One score for each count.

    Examples:
        >>> import torch
        >>> jaccard_index(Counts(tp=torch.tensor(6.0), predicted=torch.tensor(8.0), truth=torch.tensor(8.0)), smooth=0)
        tensor(0.6000)
    """
    return (counts.tp + smooth) / (counts.predicted + counts.truth - counts.tp + smooth)


class nnUNetTrainerJaccard(LossTrainer):
    """nnU-Net with the soft Jaccard loss in place of Dice + cross-entropy."""

    def make_loss(self) -> OverlapLoss:
        """Jaccard of the foreground."""
        weights = self.overlap_weights(self.parameters["Jaccard"].cb)
        return OverlapLoss(score=jaccard_index, batch=self.batch_dice, weights=weights)
