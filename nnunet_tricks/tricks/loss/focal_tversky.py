r"""Focal Tversky loss: classes count by how well they overlap already.

$(1 - T_c)^\gamma$ per class with Salehi's Tversky index T. Abraham and Khan, "A novel focal Tversky loss function with
improved attention U-Net for lesion segmentation", ISBI 2019, eq. 4, write the power as $1 / \gamma$ with $\gamma = 4 /
3$, which is our default of 0.75. For a power below 1 the slope $-\gamma (1 - T)^{\gamma - 1}$ grows as a class gets
better, so that training does not fade at the end. For a power above 1 it shrinks, and bad classes count most. ``gamma =
1`` is Tversky. Their alpha weighs false negatives (their eq. 3); ours weighs false positives, as Salehi's does.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.overlap import OverlapLoss
from nnunet_tricks.tricks.loss.tversky import TverskyTrainer, tversky_index


class nnUNetTrainerFocalTversky(TverskyTrainer):
    """nnU-Net with the focal Tversky loss in place of Dice + cross-entropy."""

    tversky_trick = "FocalTversky"

    def make_loss(self) -> OverlapLoss:
        """Focal Tversky of the foreground."""
        return _focal_tversky(self, self.parameters["FocalTversky"])


class nnUNetTrainerFocalTverskyCE(TverskyTrainer):
    """nnU-Net with the focal Tversky loss in place of its Dice term."""

    tversky_trick = "FocalTverskyCE"

    def make_loss(self) -> Sum:
        """Focal Tversky of the foreground and nnU-Net's cross-entropy."""
        return Sum((cross_entropy, _focal_tversky(self, self.parameters["FocalTverskyCE"])))


def _focal_tversky(trainer: LossTrainer, settings: SimpleNamespace) -> OverlapLoss:
    return OverlapLoss(
        score=partial(tversky_index, alpha=settings.alpha, beta=settings.beta),
        batch=trainer.batch_dice,
        exponent=settings.gamma,
        weights=trainer.overlap_weights(settings.cb),
    )
