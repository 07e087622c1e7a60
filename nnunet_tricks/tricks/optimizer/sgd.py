r"""Stochastic gradient descent with momentum: $v \leftarrow \mu v + g + d w$, $w \leftarrow w - \eta v$.

nnU-Net's own optimiser is ``SGD_momentum0p99_decay3em5_nesterov``. The defaults are those of the trick paper's
trainings in 3D.
"""

from __future__ import annotations

import torch
from torch.optim import Optimizer

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer


class nnUNetTrainerSGD(OptimizationTrainer):
    """nnU-Net with another momentum, decay or learning rate of its own optimiser."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse Nesterov's rule without momentum."""
        super().check_planned(planned)
        settings = cls.parameters["SGD"]
        if settings.nesterov and not settings.momentum:
            raise ValueError("SGD: nesterov looks ahead along the momentum, got momentum 0; allowed is more than 0")

    def make_optimizer(self) -> Optimizer:
        """Torch's SGD with the momentum, decay and rate that the name says."""
        settings = self.parameters["SGD"]
        self.initial_lr, self.weight_decay = settings.lr, settings.decay
        return torch.optim.SGD(
            self.network.parameters(),
            self.initial_lr,
            momentum=settings.momentum,
            weight_decay=self.weight_decay,
            nesterov=settings.nesterov,
        )
