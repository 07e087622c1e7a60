"""The trainer that tricks with another optimiser or schedule build on."""

from __future__ import annotations

from typing import Any

from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nnunet_tricks.training.trainer import TrickTrainer


class OptimizationTrainer(TrickTrainer):
    """A trainer that makes optimiser and schedule one after the other, so that tricks can replace either.

    nnU-Net makes both in one method. It clips gradients to a norm of 12, whatever the optimiser.
    """

    def configure_optimizers(self) -> tuple[Optimizer, Any]:
        """The optimiser, and the schedule that sets its learning rate before each epoch."""
        optimizer = self.make_optimizer()
        return optimizer, self.make_schedule(optimizer)

    def make_optimizer(self) -> Optimizer:
        """nnU-Net's optimiser, or a trick's; a trick also sets ``initial_lr`` and ``weight_decay``, for the log."""
        optimizer: Optimizer = super().configure_optimizers()[0]
        return optimizer

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """nnU-Net's schedule, or a trick's.

        Args:
            optimizer: Optimiser that ``make_optimizer`` made.
        """
        return PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)
