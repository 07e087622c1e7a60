r"""Uniform deep supervision: the outputs of the decoder's last levels weigh alike.

$\frac{1}{L} \sum_{l < L} loss(z_l, y_l)$ with $z_0$ the output at full size and $y_l$ the truth at the size of $z_l$.
nnU-Net halves the weight from level to level and leaves the lowest out. The trick paper's published code sums four
levels. Their mean, as here, has the same minimum, and gradients of nnU-Net's size. That code also shrinks the truth by
linear interpolation and cuts off decimals, so that objects lose their rim. Here nnU-Net's nearest neighbours stay.
"""

from __future__ import annotations

from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from torch import nn

from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.supervision.levels import equal_weights


class nnUNetTrainerUniformDeepSupervision(TrickTrainer):
    """nnU-Net whose outputs of different size weigh alike in the loss."""

    def _build_loss(self) -> nn.Module:
        built = super()._build_loss()
        # Without deep supervision, or with a network of one output, there is nothing to weigh.
        if isinstance(built, DeepSupervisionWrapper):
            levels = self.parameters["UniformDeepSupervision"].levels
            built.weight_factors = equal_weights(built.weight_factors, levels)
        return built
