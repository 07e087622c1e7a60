"""Sums of losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nnunet_tricks.training.criterion import Loss, Prediction


@dataclass(frozen=True)
class Sum:
    """The sum of several losses, each with weight 1 as in nnU-Net's own compound.

    Attributes:
        terms: Losses that are added.
    """

    with_logs: ClassVar[bool] = True

    terms: tuple[Loss, ...]

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        return torch.stack([term(prediction) for term in self.terms]).sum()
