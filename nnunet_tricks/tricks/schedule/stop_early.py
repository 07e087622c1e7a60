r"""A training that ends when it no longer gets better.

After each epoch nnU-Net logs the Dice of some validation patches, the pseudo-Dice. When its running mean has not risen
for ``patience`` epochs, the training ends, and nnU-Net writes its final checkpoint and validates as ever. ``loss`` goes
by the validation loss. Until then everything is as in the whole training: the schedule is that of all its epochs.

With ``anneal`` the training goes on for so many epochs, in which the learning rate falls as the rest of nnU-Net's own
schedule does: $\eta_s (1 - (t - s) / a)^{0.9}$ in epoch t, where patience ran out after s epochs and a is the number of
``anneal``. If fewer epochs are left than that, nothing is shortened.

Everything follows from the values in nnU-Net's log, which its checkpoints hold. So a training that is continued ends
where it would have ended without an interruption.

Prechelt, "Early stopping - but when?", 1998, criterion UP; nnU-Net's first version had a patience of 50 epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from torch.optim import Optimizer

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.schedule.progress import Standstill, standstill
from nnunet_tricks.tricks.schedule.warmup import EXPONENT


class Stopped(Exception):
    """Raised in place of an epoch that is not trained any more."""


class Shortened:
    """A schedule whose rest is replaced by a shorter one."""

    def __init__(self, schedule: Any, optimizer: Optimizer, place: Callable[[int], tuple[int, float]]) -> None:
        """Wrap a schedule.

        Args:
            schedule: Schedule of the whole training.
            optimizer: Optimiser whose rates it sets.
            place: Function from an epoch to the epoch of the schedule whose rate it has, and a factor of that rate.
        """
        self.schedule = schedule
        self.optimizer = optimizer
        self.place = place

    def step(self, epoch: int) -> None:
        """Set the rates of an epoch."""
        at, share = self.place(epoch)
        self.schedule.step(at)
        for group in self.optimizer.param_groups:
            group["lr"] *= share

    def __str__(self) -> str:
        """What it is, for nnU-Net's debug.json."""
        return f"{type(self.schedule).__name__}, shortened by StopEarly"


class nnUNetTrainerStopEarly(TrickTrainer):
    """nnU-Net that ends a training which no longer gets better."""

    lr_scheduler: Any

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Say that a patience is longer than the training; such a training is as without the trick."""
        super().check_planned(planned)
        if note := idle(cls.parameters["StopEarly"].patience, cls.trainer_name.epochs):
            print(note)

    def initialize(self) -> None:
        """Build everything, with a schedule that can be shortened."""
        super().initialize()
        if self.parameters["StopEarly"].anneal:
            self.lr_scheduler = Shortened(self.lr_scheduler, self.optimizer, self._place)

    def run_training(self) -> None:
        """nnU-Net's training, up to the epoch that is not trained any more."""
        try:
            super().run_training()
        except Stopped:
            self.on_train_end()

    def on_epoch_start(self) -> None:
        """Start an epoch, unless the training has ended.

        Raises:
            Stopped: If it has.
        """
        still = self._standstill(self.current_epoch)
        if still and self.current_epoch >= self._end(still):
            raise Stopped
        super().on_epoch_start()

    def on_epoch_end(self) -> None:
        """End an epoch, and say so if patience has run out with it."""
        super().on_epoch_end()
        still = self._standstill(self.current_epoch)
        if still and still.epochs == self.current_epoch < self.num_epochs:
            self._log_plainly(self._told(still))

    def _standstill(self, epochs: int) -> Standstill | None:
        """The standstill in the first epochs of the training, so many as given."""
        settings = self.parameters["StopEarly"]
        if settings.loss:
            values = [-loss for loss in self.logger.get_value("val_losses", step=None)[:epochs]]
        else:
            values = self.logger.get_value("mean_fg_dice", step=None)[:epochs]
        if not settings.loss and not any(math.isfinite(value) for value in values):
            return None  # no validation patch shows a class, so nothing was measured
        return standstill(values, patience=settings.patience, gain=settings.gain)

    def _end(self, still: Standstill) -> int:
        """Number of epochs after which the training ends."""
        return min(still.epochs + self.parameters["StopEarly"].anneal, self.num_epochs)

    def _place(self, epoch: int) -> tuple[int, float]:
        """The epoch of the whole training whose learning rate an epoch has, and a factor of that rate."""
        still = self._standstill(epoch)
        if still is None or self._end(still) == self.num_epochs:
            return epoch, 1.0
        return still.epochs, (1 - (epoch - still.epochs) / self.parameters["StopEarly"].anneal) ** EXPONENT

    def _told(self, still: Standstill) -> str:
        settings = self.parameters["StopEarly"]
        what = f"validation loss has not fallen below {-still.value:.4f}" if settings.loss else ""
        what = what or f"pseudo Dice has not risen above {still.value:.4f}"
        end = self._end(still)
        then = f"the training ends after {end} of {self.num_epochs} epochs"
        if settings.anneal:
            then = f"the learning rate falls to 0 and {then}" if end < self.num_epochs else "few epochs are left"
        return f"StopEarly: the smoothed {what} since epoch {still.best}, {settings.patience} epochs ago: {then}"

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        if note := idle(self.parameters["StopEarly"].patience, self.num_epochs):
            yield note


def idle(patience: int, epochs: int) -> str:
    """A sentence on a patience that ends no training of such a length; empty if it can end one.

    Examples:
        >>> idle(50, 1000), idle(50, 52)
        ('', '')
        >>> idle(50, 51)
        'StopEarly never ends this training: its patience is 50 epochs, and the training has 51'
    """
    if patience + 1 < epochs:
        return ""
    return f"StopEarly never ends this training: its patience is {patience} epochs, and the training has {epochs}"
