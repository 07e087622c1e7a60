r"""A learning rate that falls as $\eta (1 - t / T)^e$ over the T epochs: nnU-Net's own schedule, with e = 0.9.

At its default it changes nothing in nnU-Net. Beside a base it takes the place of the base's schedule. With
``exponent1`` the rate falls along a straight line.
"""

from __future__ import annotations

from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer


class nnUNetTrainerPolyLR(OptimizationTrainer):
    """nnU-Net with another exponent in its schedule."""

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """nnU-Net's schedule with the exponent that the name says."""
        return PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs, exponent=self.parameters["PolyLR"].exponent)
