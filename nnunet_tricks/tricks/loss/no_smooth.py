r"""nnU-Net's loss without the smoothing term of its Dice: $CE - \frac{2 TP}{P + G}$, where nnU-Net adds 1e-5 to both.

With the term a class that is absent from a patch costs 0 while the network predicts any of it, and -1 once it predicts
less than 1e-5 voxels: patches without a class pay for never predicting it. Without the term they have no say. With the
class present it makes no difference. It is nnU-Net's ``nnUNetTrainerDiceCELoss_noSmooth``, which its authors recommend
where a class falls to 0; levels of deep supervision are weighted as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nnunet_tricks.training.criterion import Counts, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy

LEAST = 1e-8
"""Smallest denominator in voxels, as in nnU-Net: where nothing is there and nothing predicted, the score is 0."""


def plain_dice(counts: Counts) -> Tensor:
    """Soft Dice coefficient without a smoothing term; 0, without a gradient, for an absent class.

    Args:
        counts: Soft voxel counts.

    Returns:
        One score in [0, 1] for each count.

    Examples:
        >>> import torch
        >>> sizes = torch.tensor([8.0, 0.0])
        >>> plain_dice(Counts(tp=torch.tensor([6.0, 0.0]), predicted=sizes, truth=sizes))
        tensor([0.7500, 0.0000])
    """
    return 2 * counts.tp / (counts.predicted + counts.truth).clamp_min(LEAST)


@dataclass(frozen=True, kw_only=True)
class PlainDice:
    """Minus the mean of ``plain_dice`` over the foreground, as nnU-Net's term without its smoothing.

    Attributes:
        batch: Whether the batch counts as one image.
    """

    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar from -1 (perfect) to 0."""
        return -plain_dice(prediction.counts(batch=self.batch)).mean()


class nnUNetTrainerNoSmooth(LossTrainer):
    """nnU-Net with a Dice term that is not smoothed."""

    def make_loss(self) -> Sum:
        """Cross-entropy and Dice."""
        return Sum((PlainDice(batch=self.batch_dice), cross_entropy))
