r"""A learning rate that falls along a cosine, $\eta (1 + \cos(\pi t / T)) / 2$: nnU-Net's ``nnUNetTrainerCosAnneal``.

Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017, eq. 5, without a restart. The
trick paper's published code has it in 2D.
"""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer


class CosAnnealTrainer(OptimizationTrainer):
    """nnU-Net with a cosine schedule, for names that hold more than ``CosAnneal``."""

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """A cosine from the initial rate to 0 over the training."""
        return CosineAnnealingLR(optimizer, T_max=self.num_epochs)
