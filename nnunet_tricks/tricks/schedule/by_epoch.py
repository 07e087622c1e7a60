"""A schedule that is a function of the epoch."""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class ByEpoch(LRScheduler):
    """Sets the learning rate from the number of the epoch. It keeps no state: nnU-Net's checkpoints would not hold it.

    Examples:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = ByEpoch(optimizer, lambda epoch: 0.5**epoch)
        >>> schedule.step(3)
        >>> schedule.get_last_lr()
        [0.125]
    """

    def __init__(self, optimizer: Optimizer, rate: Callable[[int], float]) -> None:
        """Set the rate of the first epoch.

        Args:
            optimizer: Optimiser whose rate is set.
            rate: Function from the epoch, counted from 0, to its learning rate.
        """
        self.rate = rate
        super().__init__(optimizer)

    def step(self, epoch: int | None = None) -> None:
        """Set the rate of an epoch; of the next one if none is given."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rate = self.rate(self.last_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._last_lr = [rate for _ in self.optimizer.param_groups]
