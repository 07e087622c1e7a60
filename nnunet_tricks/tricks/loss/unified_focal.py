r"""Unified focal loss, its asymmetric form: focal for background, focal Tversky for foreground.

$\lambda L_{F} + (1 - \lambda) L_{FT}$ of Yeung et al., "Unified focal loss: Generalising Dice and cross entropy-based
losses to handle class imbalanced medical image segmentation", Computerized Medical Imaging and Graphics 2022, eqs. 18
to 20:

- $L_F$ is the mean over voxels of $-\delta \log p_t$ where the truth is foreground, and of $-(1 - \delta) (1 -
  p_t)^\gamma \log p_t$ where it is background: easy background is suppressed, foreground is not.
- $L_{FT}$ is the mean over classes of $1 - T$ for background and $(1 - T)^{1 - \gamma}$ for foreground, where T is
  Tversky with $\delta$ for misses and $1 - \delta$ for false alarms. Foreground is enhanced, the more the better it is
  found.

Each region is a question of its own: inside is foreground, outside background. MONAI's focal part is half of this one,
because it also averages over the two channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nnunet_tricks.training.class_balance import times
from nnunet_tricks.training.criterion import Counts, DecisionWeights, Prediction
from nnunet_tricks.training.trainer import LossTrainer
from nnunet_tricks.tricks.loss.focal import Focal
from nnunet_tricks.tricks.loss.overlap import FLOOR
from nnunet_tricks.tricks.loss.tversky import tversky_index


@dataclass(frozen=True, kw_only=True)
class UnifiedFocal:
    """The weighted sum of both parts.

    Attributes:
        share: Share of the focal part, lambda; the rest is focal Tversky.
        delta: Weight of foreground, and of misses.
        gamma: Power that suppresses easy background and enhances the overlap of foreground.
        rows: Weights of 1, by decision and right answer.
        batch: Whether the batch counts as one image for Tversky.
    """

    with_logs: ClassVar[bool] = True

    share: float
    delta: float
    gamma: float
    rows: DecisionWeights
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar, at least 0."""
        return self.share * self._focal(prediction) + (1 - self.share) * self._focal_tversky(prediction)

    def _focal(self, prediction: Prediction) -> Tensor:
        background, foreground = (
            prediction.decision_weights(times(self.rows, factors)) for factors in ((1 - self.delta, 0), (0, self.delta))
        )
        return prediction.mean(Focal.apply(prediction.decision_cross_entropy, background, foreground, self.gamma))

    def _focal_tversky(self, prediction: Prediction) -> Tensor:
        counts = prediction.counts(background=True, batch=self.batch)
        if not prediction.regions:
            losses = self._missed(counts)
            return torch.cat([losses[..., :1], self._enhanced(losses[..., 1:])], -1).mean()
        outside = self._missed(prediction.complement(counts, batch=self.batch))
        return (outside.mean() + self._enhanced(self._missed(counts)).mean()) / 2

    def _missed(self, counts: Counts) -> Tensor:
        return 1 - tversky_index(counts, alpha=1 - self.delta, beta=self.delta)

    def _enhanced(self, losses: Tensor) -> Tensor:
        return losses.clamp_min(FLOOR) ** (1 - self.gamma)


class nnUNetTrainerUnifiedFocal(LossTrainer):
    """nnU-Net with the asymmetric unified focal loss in place of Dice + cross-entropy."""

    def make_loss(self) -> UnifiedFocal:
        """The focal and the focal Tversky part."""
        settings = self.parameters["UnifiedFocal"]
        return UnifiedFocal(
            share=settings.share,
            delta=settings.delta,
            gamma=settings.gamma,
            rows=self.decision_weights(0),
            batch=self.batch_dice,
        )
