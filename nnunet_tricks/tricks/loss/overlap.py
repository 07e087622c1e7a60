"""The loss that tricks on soft counts build on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nnunet_tricks.training.criterion import Counts, Prediction

FLOOR = 1e-6
"""Smallest loss that is raised to a power: a root has no finite gradient at 0."""


@dataclass(frozen=True, kw_only=True)
class OverlapLoss:
    """One minus the mean score of the classes.

    Attributes:
        score: Function from soft counts to one score each; 1 is perfect.
        batch: Whether the batch counts as one image.
        background: Whether class 0 of a label map has a score.
        squared: Whether predicted probabilities are squared before they are summed.
        exponent: Power of one minus each score.
        weights: Weight of each class that has a score, with a mean of 1; ``None`` weighs all alike.
    """

    score: Callable[[Counts], Tensor]
    batch: bool
    background: bool = False
    squared: bool = False
    exponent: float = 1
    weights: tuple[float, ...] | None = None

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        counts = prediction.counts(background=self.background, batch=self.batch, squared=self.squared)
        losses = 1 - self.score(counts)
        if self.exponent != 1:
            losses = losses.clamp_min(FLOOR) ** self.exponent
        if self.weights is not None:
            losses = losses * losses.new_tensor(self.weights)
        return losses.mean()
