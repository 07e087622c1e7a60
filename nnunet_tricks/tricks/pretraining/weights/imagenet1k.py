"""Weights from ImageNet-1k, the best free ones for an architecture.

For a ResNet-50 they are the trick paper's 'Imag-1k' (table 1): trained on a billion tagged pictures without ImageNet's
labels, then on these. Yalniz et al., "Billion-scale semi-supervised learning for image classification", 2019. Their
licence allows no commercial use.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedImageNet1k(WeightsTrainer):
    """nnU-Net whose encoder starts from ImageNet-1k."""

    weights_trick = "PretrainedImageNet1k"
