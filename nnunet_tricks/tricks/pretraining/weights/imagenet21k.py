"""Weights from the whole of ImageNet, 21 thousand classes.

For a ResNet-50 the trick paper's 'Imag-21k' (table 1): Ridnik et al., "ImageNet-21K pretraining for the masses",
NeurIPS 2021. For transformers those of Google.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedImageNet21k(WeightsTrainer):
    """nnU-Net whose encoder starts from ImageNet-21k."""

    weights_trick = "PretrainedImageNet21k"
