r"""Online hard example mining: only the voxels that the network gets most wrong count.

Mean of the $k$ largest cross-entropies among the N annotated voxels of the batch, $k = \lfloor fraction \cdot N
\rfloor$. Shrivastava et al., CVPR 2016, for detection; the trick paper's published code has a fraction of 0.7. A
fraction of 1 is cross-entropy. nnU-Net's ``TopKLoss`` is the same idea with 10 %, but it counts ignored voxels and
knows no regions.
"""

from __future__ import annotations

import math
from functools import partial

from torch import Tensor

from nnunet_tricks.training.criterion import Loss, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.dice import nnunet_dice


def hardest_mean(losses: Tensor, *, fraction: float, threshold: float = 1, keep: int = 1, terms: int = 1) -> Tensor:
    """Mean of the largest losses.

    Args:
        losses: Cross-entropies of voxels, any shape.
        fraction: Share of them that counts, in (0, 1]; rounded down.
        threshold: Probability of the true class above which a voxel does not count; 1 keeps all.
        keep: Number of voxels that count at least, if there are so many.
        terms: Number of cross-entropies that each loss is the sum of; the threshold is for their mean.

    Returns:
        A scalar; 0, with a gradient of 0, if ``losses`` is empty.

    Examples:
        >>> import torch
        >>> losses = torch.tensor([0.1, 0.2, 0.4, 0.8])
        >>> hardest_mean(losses, fraction=0.5)
        tensor(0.6000)
        >>> hardest_mean(losses, fraction=0.5, threshold=0.5)  # only 0.8 is above -log 0.5
        tensor(0.8000)
    """
    losses = losses.flatten()
    count = int(fraction * len(losses))
    if threshold < 1:
        count = min(count, int((losses > -math.log(threshold) * terms).sum()))
    count = min(max(count, keep), len(losses))
    hardest = losses if count == len(losses) else losses.topk(count, sorted=False).values
    return hardest.sum() / max(count, 1)


def ohem_loss(prediction: Prediction, *, fraction: float, threshold: float, keep: int) -> Tensor:
    """Mean cross-entropy of the hardest annotated voxels of the batch.

    For regions the hardness of a voxel is that of its binary cross-entropies over the regions together. The threshold
    then is for the geometric mean of the probabilities of the right answers. Under DDP each process picks its own
    voxels.

    Args:
        prediction: Logits beside their truth.
        fraction: Share of the annotated voxels.
        threshold: Probability of the true class above which a voxel does not count.
        keep: Number of voxels that count at least.

    Returns:
        A scalar, at least 0.
    """
    losses = prediction.voxel_cross_entropy
    if prediction.annotated is not None:
        losses = losses[prediction.annotated]
    # nnU-Net sums over regions where there is an ignore label, and averages where there is none.
    terms = prediction.logits.shape[1] if prediction.regions and prediction.annotated is not None else 1
    return hardest_mean(losses, fraction=fraction, threshold=threshold, keep=keep, terms=terms)


class nnUNetTrainerOHEM(LossTrainer):
    """nnU-Net with the cross-entropy of the hardest voxels in place of Dice + cross-entropy."""

    def make_loss(self) -> Loss:
        """Cross-entropy of the hardest voxels, as in the published code."""
        settings = self.parameters["OHEM"]
        return partial(ohem_loss, fraction=settings.fraction, threshold=settings.threshold, keep=settings.keep)


class nnUNetTrainerDiceOHEM(LossTrainer):
    """nnU-Net with the cross-entropy of the hardest voxels in place of that of all voxels."""

    def make_loss(self) -> Sum:
        """nnU-Net's Dice term and the cross-entropy of the hardest voxels."""
        settings = self.parameters["DiceOHEM"]
        ohem = partial(ohem_loss, fraction=settings.fraction, threshold=settings.threshold, keep=settings.keep)
        return Sum((ohem, partial(nnunet_dice, batch=self.batch_dice)))
