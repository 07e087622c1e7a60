r"""Adam as nnU-Net's ``nnUNetTrainerAdam`` has it: AdamW with amsgrad.

The weights decay apart from the gradient, $w \leftarrow (1 - \eta d) w$ (Loshchilov and Hutter, ICLR 2019). The step is
divided by the root of the largest running mean of squared gradients so far (Reddi et al., ICLR 2018). At its defaults
it equals nnU-Net's trainer bit for bit, and ``nnUNetTrainerAdam3en4`` is ``nnUNetTrainerAdam_lr3em4``. Adam without
either is ``VanillaAdam``.
"""

from __future__ import annotations

from torch.optim import AdamW, Optimizer

from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer


class AdamTrainer(OptimizationTrainer):
    """nnU-Net with AdamW and amsgrad, for names that hold more than ``Adam``."""

    def make_optimizer(self) -> Optimizer:
        """AdamW with amsgrad, with the rate and decay that the name says."""
        settings = self.parameters["Adam"]
        self.initial_lr, self.weight_decay = settings.lr, settings.decay
        return AdamW(self.network.parameters(), lr=self.initial_lr, weight_decay=self.weight_decay, amsgrad=True)
