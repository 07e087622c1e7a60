r"""Asymmetric similarity: the F-beta score of the classes, in which misses are worse than false alarms.

$1 - \frac{(1 + \beta^2) TP + s}{(1 + \beta^2) TP + \beta^2 FN + FP + s}$ on soft counts. Hashemi et al., "Asymmetric
loss functions and deep densely-connected networks for highly-imbalanced medical image segmentation", IEEE Access 2019,
eq. 4. It is Tversky with $\alpha = 1 / (1 + \beta^2)$ and its own beta $\beta^2 / (1 + \beta^2)$, so only one number is
chosen; ``beta = 1`` is Dice.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from nnunet_tricks.training.criterion import Counts
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.overlap import OverlapLoss


def f_score(counts: Counts, *, beta: float, smooth: float = 1e-5) -> Tensor:
    """Soft F-beta score in [0, 1].

    Args:
        counts: Soft voxel counts.
        beta: Root of how many times as much a miss weighs as a false alarm.
        smooth: Summand of numerator and denominator, in the weighted voxels of the formula: with ``beta = 1`` it is
            that of nnU-Net's Dice. So an absent class that is not predicted scores 1.

    Returns:
        One score for each count.

    Examples:
        >>> import torch
        >>> counts = Counts(tp=torch.tensor(6.0), predicted=torch.tensor(8.0), truth=torch.tensor(12.0))
        >>> f_score(counts, beta=2, smooth=0)  # 30 / (30 + 4 * 6 + 2)
        tensor(0.5357)
    """
    overlap = (1 + beta**2) * counts.tp + smooth
    return overlap / (overlap + beta**2 * counts.fn + counts.fp)


class nnUNetTrainerAsymmetricTversky(LossTrainer):
    """nnU-Net with the asymmetric similarity loss in place of Dice + cross-entropy."""

    def make_loss(self) -> OverlapLoss:
        """F-beta of the foreground."""
        settings = self.parameters["AsymmetricTversky"]
        return OverlapLoss(
            score=partial(f_score, beta=settings.beta),
            batch=self.batch_dice,
            weights=self.overlap_weights(settings.cb),
        )
