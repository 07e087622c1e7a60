r"""Log-cosh Dice: a Dice loss whose slope fades as Dice approaches 1.

$\log \cosh (1 - D)$ with the mean Dice D of the foreground classes. Jadon, "A survey of loss functions for semantic
segmentation", CIBCB 2020, eq. 18. Its derivative is $\tanh(1 - D)$ of Dice's: three quarters of it where nothing
overlaps, and less and less towards 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.dice import dice_score
from nnunet_tricks.tricks.loss.overlap import OverlapLoss


def log_cosh(values: Tensor) -> Tensor:
    """Log cosh x, exact for large x, too.

    Examples:
        >>> import torch
        >>> log_cosh(torch.tensor([0.0, 1.0, 100.0]))
        tensor([ 0.0000,  0.4338, 99.3069])
    """
    return values + F.softplus(-2 * values) - math.log(2)


@dataclass(frozen=True)
class LogCosh:
    """The log cosh of another loss.

    Attributes:
        loss: Loss that it is taken of.
    """

    loss: OverlapLoss

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        return log_cosh(self.loss(prediction))


class nnUNetTrainerLogCoshDice(LossTrainer):
    """nnU-Net with log-cosh Dice in place of Dice + cross-entropy."""

    def make_loss(self) -> LogCosh:
        """Log cosh of one minus Dice of the foreground."""
        weights = self.overlap_weights(self.parameters["LogCoshDice"].cb)
        return LogCosh(OverlapLoss(score=dice_score, batch=self.batch_dice, weights=weights))
