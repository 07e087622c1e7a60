r"""Generalized Dice: all classes in one overlap, small ones weighing as much as large ones.

$1 - \frac{2 \sum_c w_c TP_c + s}{\sum_c w_c (P_c + G_c) + s}$ on soft counts with $w_c = 1 / G_c^2$, background
included. Sudre et al., "Generalised Dice overlap as a deep learning loss function for highly unbalanced segmentations",
DLMIA 2017, section 2.1. The survey's Eq. 9 prints another factor 1/m, under which a perfect prediction of m classes
would cost 1 - 1/m.

By this formula a class that is absent from an image has no weight. It gets the largest weight of the classes in the
image, as in MONAI.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnunet_tricks.training.criterion import Counts, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy


def generalized_dice(counts: Counts, *, smooth: float = 1e-5) -> Tensor:
    """Overlap of all classes in [0, 1].

    Args:
        counts: Soft voxel counts, classes last.
        smooth: Summand of numerator and denominator, in voxels of the smallest class.

    Returns:
        One score for all classes of each image.

    Examples:
        >>> import torch
        >>> counts = Counts(*torch.tensor([[[90.0, 0.0]], [[100.0, 0.0]], [[90.0, 10.0]]]))
        >>> generalized_dice(counts, smooth=0)  # the small class is missed, and weighs 81 times as much
        tensor([0.1800])
    """
    present = counts.truth > 0
    weights = torch.where(present, counts.truth, torch.inf) ** -2
    largest = weights.amax(-1, keepdim=True)
    # Relative to the largest weight, so that smoothing means the same for images of any size.
    weights = torch.where(present & (largest > 0), weights / largest.where(largest > 0, 1), 1)
    overlap, both = ((weights * count).sum(-1) for count in (counts.tp, counts.predicted + counts.truth))
    return (2 * overlap + smooth) / (both + smooth)


@dataclass(frozen=True, kw_only=True)
class GeneralizedDiceLoss:
    """One minus generalized Dice, mean over the images.

    Attributes:
        batch: Whether the batch counts as one image.
    """

    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        return 1 - generalized_dice(prediction.counts(background=True, batch=self.batch)).mean()


class nnUNetTrainerGeneralizedDice(LossTrainer):
    """nnU-Net with generalized Dice in place of Dice + cross-entropy."""

    def make_loss(self) -> GeneralizedDiceLoss:
        """Generalized Dice of all classes."""
        return GeneralizedDiceLoss(batch=self.batch_dice)


class nnUNetTrainerGeneralizedDiceCE(LossTrainer):
    """nnU-Net with generalized Dice in place of its Dice term."""

    def make_loss(self) -> Sum:
        """Generalized Dice of all classes and nnU-Net's cross-entropy."""
        return Sum((cross_entropy, GeneralizedDiceLoss(batch=self.batch_dice)))
