r"""Adam as in its paper, with the decay as a penalty in the loss: nnU-Net's ``nnUNetTrainerVanillaAdam``.

The gradient becomes $g + d w$ before its running means are taken. Kingma and Ba, ICLR 2015, algorithm 1. At its
defaults it equals nnU-Net's trainer bit for bit, and ``nnUNetTrainerVanillaAdam3en4`` is
``nnUNetTrainerVanillaAdam_lr3em4``. The trick paper trains in 2D with ``lr3em4_decay5em4``; its published code has
``lr3em4_decay1em5_beta0p99``.
"""

from __future__ import annotations

from torch.optim import Adam, Optimizer

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer


class VanillaAdamTrainer(OptimizationTrainer):
    """nnU-Net with Adam, for names that hold more than ``VanillaAdam``."""

    def make_optimizer(self) -> Optimizer:
        """Torch's Adam with the rate, decay and beta that the name says."""
        settings = self.parameters["VanillaAdam"]
        self.initial_lr, self.weight_decay = settings.lr, settings.decay
        return Adam(
            self.network.parameters(), lr=self.initial_lr, betas=(0.9, settings.beta), weight_decay=self.weight_decay
        )
