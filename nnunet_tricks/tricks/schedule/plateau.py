"""A learning rate that falls when the validation loss has stopped falling.

Multiplied by ``factor`` once ``patience`` epochs have gone by without a loss that is lower, by a ten-thousandth at
least, than the lowest before: torch's ``ReduceLROnPlateau``, which the trick paper's published code has in 3D with its
defaults. nnU-Net's epochs are 250 steps, KiTS19 has three of that code's epochs in one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer
from nnunet_tricks.tricks.schedule.by_epoch import ByEpoch


def after_losses(losses: Iterable[float], rate: float, *, factor: float, patience: int) -> float:
    """The learning rate after epochs with these validation losses.

    Args:
        losses: Of the epochs before, from the first on.
        rate: The initial learning rate.
        factor: What is left of it each time.
        patience: Epochs that may go by without a lower loss.

    Examples:
        >>> after_losses([3, 2, 2, 2], 1.0, factor=0.5, patience=1)
        0.5
    """
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=rate)
    schedule = ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
    for loss in losses:
        schedule.step(loss)
    return float(optimizer.param_groups[0]["lr"])


class nnUNetTrainerPlateauLR(OptimizationTrainer):
    """nnU-Net whose learning rate waits for the validation loss."""

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """From the losses in nnU-Net's log, which its checkpoints hold: a training that goes on has the same rate."""
        return ByEpoch(optimizer, self._rate)

    def _rate(self, epoch: int) -> float:
        settings = self.parameters["PlateauLR"]
        losses = self.logger.get_value("val_losses", step=None)[:epoch]
        return after_losses(losses, self.initial_lr, factor=settings.factor, patience=settings.patience)
