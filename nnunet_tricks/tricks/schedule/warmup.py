r"""A learning rate that first rises along a straight line, and falls over the rest of the training as nnU-Net's does.

$\eta (t + 1) / w$ for the first w epochs, then $\eta (1 - (t - w) / (T - w))^{0.9}$. nnU-Net's
``nnUNetTrainer_warmup`` has w = 50. Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2.
"""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer
from nnunet_tricks.tricks.schedule.by_epoch import ByEpoch

EXPONENT = 0.9
"""Exponent of nnU-Net's own schedule."""


def warmed_up(epoch: int, rate: float, *, length: int, epochs: int) -> float:
    """The learning rate of an epoch.

    Args:
        epoch: Number of the epoch, from 0.
        rate: Highest learning rate.
        length: Number of epochs of the rise.
        epochs: Number of epochs of the whole training, more than ``length``.

    Examples:
        >>> [warmed_up(epoch, 1.0, length=2, epochs=4) for epoch in (0, 1, 2)]
        [0.5, 1.0, 1.0]
    """
    if epoch < length:
        return rate / length * (1 + epoch)
    return float(rate * (1 - (epoch - length) / (epochs - length)) ** EXPONENT)


class nnUNetTrainerWarmup(OptimizationTrainer):
    """nnU-Net whose learning rate starts low and rises first."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse a rise that takes as long as the training or longer."""
        super().check_planned(planned)
        _require_time(cls.parameters["Warmup"].length, cls.trainer_name.epochs)

    def make_schedule(self, optimizer: Optimizer) -> LRScheduler:
        """A rise, and then nnU-Net's schedule.

        Raises:
            ValueError: If the training ends before the rise, as it may where a subclass sets ``num_epochs``.
        """
        length, epochs = self.parameters["Warmup"].length, self.num_epochs
        _require_time(length, epochs)
        return ByEpoch(optimizer, lambda epoch: warmed_up(epoch, self.initial_lr, length=length, epochs=epochs))


def _require_time(length: int, epochs: int) -> None:
    if length >= epochs:
        advice = f": for example length{max(1, epochs // 20)}" if epochs > 1 else ""
        raise ValueError(
            f"length of Warmup must be less than the {epochs} epochs of the training, got {length}{advice}"
        )
