"""What losses on soft counts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nnunet_tricks.criterion import Counts, Prediction


@dataclass(frozen=True, kw_only=True)
class OverlapLoss:
    """One minus the mean score of the classes.

    Attributes:
        score: Soft counts -> one score each; 1 is perfect.
        batch: Whether the batch counts as one image.
        background: Whether class 0 of a label map has a score.
        squared: Whether predicted probabilities are squared before they are summed.
    """

    score: Callable[[Counts], Tensor]
    batch: bool
    background: bool = False
    squared: bool = False

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        counts = prediction.counts(background=self.background, batch=self.batch, squared=self.squared)
        return 1 - self.score(counts).mean()
