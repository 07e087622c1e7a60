"""A learning rate that stays constant. The trick paper's text names no schedule."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer
from nnunet_tricks.tricks.schedule.by_epoch import ByEpoch


class nnUNetTrainerConstantLR(OptimizationTrainer):
    """nnU-Net whose learning rate does not fall."""

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """The initial rate in every epoch."""
        return ByEpoch(optimizer, lambda _: self.initial_lr)
