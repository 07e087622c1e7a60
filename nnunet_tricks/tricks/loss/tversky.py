r"""Tversky loss: missed voxels and false alarms have weights of their own.

$1 - \frac{TP + s}{TP + \alpha FP + \beta FN + s}$ on soft counts. Salehi et al., "Tversky loss function for image
segmentation using 3D fully convolutional deep networks", MLMI 2017, eq. 3. ``alpha = beta = 0.5`` is Dice.

There are three conventions. Ours is Salehi's. In the survey's Eq. 8 beta weighs false positives, and the index is
printed as if it were the loss. In the trick paper's published code alpha weighs false negatives.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from torch import Tensor

from nnunet_tricks.training.criterion import Counts, Loss, Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.overlap import OverlapLoss

PUBLISHED_SMOOTH = 1e-7


def tversky_index(counts: Counts, *, alpha: float, beta: float, smooth: float = 5e-6) -> Tensor:
    """Overlap of prediction and truth in [0, 1].

    ``alpha = beta = 0.5`` is the soft Dice coefficient, ``alpha = beta = 1`` the soft Jaccard index; ``beta > alpha``
    trades precision for recall.

    Args:
        counts: Soft voxel counts.
        alpha: Weight of false positives, not negative.
        beta: Weight of false negatives, not negative.
        smooth: Summand of numerator and denominator, in voxels, so that an absent class that is not predicted scores 1.
            The default is half of nnU-Net's for Dice, so that 0.5 and 0.5 give exactly Dice.

    Returns:
        One score for each count.

    Examples:
        >>> import torch
        >>> counts = Counts(tp=torch.tensor(6.0), predicted=torch.tensor(8.0), truth=torch.tensor(8.0))
        >>> tversky_index(counts, alpha=0.3, beta=0.7, smooth=0)
        tensor(0.7500)
    """
    return (counts.tp + smooth) / (counts.tp + alpha * counts.fp + beta * counts.fn + smooth)


def published_tversky_loss(prediction: Prediction, *, alpha: float, beta: float) -> Tensor:
    """The trick paper's published code: alpha weighs false negatives, background counts, and the batch is summed.

    By the sum over the batch it grows with the batch and falls below 0. Probabilities keep a distance of 1e-7 from 0
    and 1, so that an absent class does not score 1.

    Args:
        prediction: Logits beside their truth.
        alpha: Weight of false negatives.
        beta: Weight of false positives.

    Returns:
        A scalar.
    """
    probabilities = prediction.probabilities.clamp(PUBLISHED_SMOOTH, 1 - PUBLISHED_SMOOTH)
    if prediction.annotated is not None:
        probabilities = probabilities * prediction.annotated[:, None]
    truth = prediction.one_hot()
    counts = Counts(*(image.flatten(2).sum(2) for image in (probabilities * truth, probabilities, truth)))
    return 1 - tversky_index(counts, alpha=beta, beta=alpha, smooth=PUBLISHED_SMOOTH).mean(1).sum()


class TverskyTrainer(LossTrainer):
    """A trainer whose loss weighs misses and false alarms.

    Attributes:
        tversky_trick: Name of the trick in the catalogue; its parameters ``alpha`` and ``beta`` are the weights.
    """

    tversky_trick: ClassVar[str]

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse weights that leave nothing to train."""
        super().check_planned(planned)
        settings = cls.parameters[cls.tversky_trick]
        if settings.alpha == settings.beta == 0:
            raise ValueError(
                f"alpha and beta of {cls.tversky_trick} must not both be 0: it would be 0 whatever is predicted"
            )


class nnUNetTrainerTversky(TverskyTrainer):
    """nnU-Net with the Tversky loss in place of Dice + cross-entropy."""

    tversky_trick = "Tversky"

    def make_loss(self) -> Loss:
        """Tversky of the foreground; with ``mediseg`` the loss of the published code."""
        settings = self.parameters["Tversky"]
        if settings.mediseg:
            return partial(published_tversky_loss, alpha=settings.alpha, beta=settings.beta)
        score = partial(tversky_index, alpha=settings.alpha, beta=settings.beta)
        return OverlapLoss(score=score, batch=self.batch_dice, weights=self.overlap_weights(settings.cb))


class nnUNetTrainerTverskyCE(TverskyTrainer):
    """nnU-Net with the Tversky loss in place of its Dice term."""

    tversky_trick = "TverskyCE"

    def make_loss(self) -> Sum:
        """Tversky of the foreground and nnU-Net's cross-entropy."""
        settings = self.parameters["TverskyCE"]
        score = partial(tversky_index, alpha=settings.alpha, beta=settings.beta)
        tversky = OverlapLoss(score=score, batch=self.batch_dice, weights=self.overlap_weights(settings.cb))
        return Sum((cross_entropy, tversky))
