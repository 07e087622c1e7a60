"""A learning rate that falls when the validation loss has stopped falling.

The rate is multiplied by ``factor`` when the loss has not fallen for more than ``patience`` epochs. A loss has fallen
if it is below the lowest before by at least a ten-thousandth of it. This is torch's ``ReduceLROnPlateau``; the trick
paper's published code uses it in 3D with its defaults. nnU-Net's epochs are 250 steps: on KiTS19 one of them holds
three of that code's epochs.
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
        losses: Losses of the epochs before, from the first on.
        rate: Initial learning rate.
        factor: Factor of the rate at each fall.
        patience: Number of epochs that may go by without a lower loss.

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
        """Rates by the losses in nnU-Net's log, which checkpoints hold: a continued training has the same rates."""
        return ByEpoch(optimizer, self._rate)

    def _rate(self, epoch: int) -> float:
        settings = self.parameters["PlateauLR"]
        losses = self.logger.get_value("val_losses", step=None)[:epoch]
        return after_losses(losses, self.initial_lr, factor=settings.factor, patience=settings.patience)
