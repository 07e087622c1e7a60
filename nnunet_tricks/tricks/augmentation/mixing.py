"""The trainer that tricks build on that mix the patches of a batch with each other.

A batch is mixed at the start of the training step, after every augmentation. As in the papers' programs, one share and
one order hold for the whole batch. Validation batches stay as they are.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer


def others(count: int) -> Tensor:
    """For each patch of a batch the number of another, each number once: the batch is shifted by a random number.

    Args:
        count: Number of patches in the batch, at least 2.

    Examples:
        >>> others(2)
        tensor([1, 0])
    """
    return (torch.arange(count) + np.random.randint(1, count)) % count


class MixingTrainer(TrickTrainer):
    """A trainer that mixes some of its batches.

    Attributes:
        mixing_trick: Name of the trick in the catalogue. Its parameter ``p`` is the part of the batches that is mixed.
            The share of a patch itself is drawn from a Beta(alpha, alpha) distribution by its parameter ``alpha``.
    """

    mixing_trick: ClassVar[str]
    loss: Any

    @abstractmethod
    def mixed(self, batch: dict[str, Any], share: float, order: Tensor) -> tuple[dict[str, Any], Any]:
        """A batch of mixed patches, and the loss that fits it.

        Args:
            batch: nnU-Net's batch, on the training's device; not to be changed.
            share: Share that stays of each patch, from 0 to 1.
            order: Number of the patch that each patch is mixed with.
        """

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse batches of one patch, as they may be in one of several processes."""
        super().check_planned(planned)
        if planned.batch_size < 2:
            raise ValueError(
                f"{cls.mixing_trick} mixes the patches of a batch with each other, and a batch of this process has "
                f"{planned.batch_size}; at least 2 are needed: 'nnunet-tricks plan --patch ... --batch 2'"
            )

    def initialize(self) -> None:
        """Build everything."""
        super().initialize()
        if not self.parameters[self.mixing_trick].p:
            self.print_to_log_file(f"{self.mixing_trick} changes nothing: p is 0", add_timestamp=False)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step; a part of the batches is mixed before it."""
        settings = self.parameters[self.mixing_trick]
        # Without random numbers, so that p 0 is the training without the trick bit for bit.
        if not settings.p:
            return super().train_step(batch)
        mixed, loss = batch, self.loss
        with self._randomness(batch):
            if np.random.uniform() < settings.p:
                share = float(np.random.beta(settings.alpha, settings.alpha))
                order = others(len(batch["data"])).to(self.device)
                mixed, loss = self.mixed(self._on_device(batch), share, order)
        plain, self.loss = self.loss, loss
        try:
            return super().train_step(mixed)
        finally:
            self.loss = plain

    def _on_device(self, batch: dict[str, Any]) -> dict[str, Any]:
        target = batch["target"]
        levels = [
            level.to(self.device, non_blocking=True) for level in (target if isinstance(target, list) else [target])
        ]
        return {
            **batch,
            "data": batch["data"].to(self.device, non_blocking=True),
            "target": levels if isinstance(target, list) else levels[0],
        }

    def _randomness(self, batch: dict[str, Any]) -> AbstractContextManager[None]:
        if not self.trainer_name.shared:
            return nullcontext()
        from nnunet_tricks.training.shared_randomness import NUMBER, seeded

        return seeded(*self._shares, "mixing", batch[NUMBER])
