r"""A learning rate that falls in steps: $\eta f^{\lfloor t / s \rfloor}$, a factor f every s epochs.

The IFE paper multiplies by 0.1 every 50 of its 100 epochs. Its epochs are passes over the images, and nnU-Net's are 250
steps. So ``parts`` cuts the training into equal parts whatever its length: ``parts2`` is the paper's.
"""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer
from nnunet_tricks.tricks.schedule.by_epoch import ByEpoch


def stepped(epoch: int, *, length: float, factor: float) -> float:
    """The part of the initial learning rate that is left.

    Args:
        epoch: Number of the epoch, from 0.
        length: Number of epochs from one step to the next.
        factor: Share of the rate that each step leaves, from 0 to 1.

    Examples:
        >>> [stepped(epoch, length=50, factor=0.5) for epoch in (0, 49, 50, 100)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return float(factor ** (epoch // length))


class nnUNetTrainerStepLR(OptimizationTrainer):
    """nnU-Net whose learning rate falls in steps."""

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """Steps by epochs, or by equal parts of the training."""
        settings = self.parameters["StepLR"]
        length = self.num_epochs / settings.parts if settings.parts else settings.every
        if length >= self.num_epochs:
            self.print_to_log_file(
                f"StepLR: the learning rate never falls, the first step is at epoch {length:g} of {self.num_epochs}",
                add_timestamp=False,
            )
        return ByEpoch(optimizer, lambda epoch: self.initial_lr * stepped(epoch, length=length, factor=settings.factor))
