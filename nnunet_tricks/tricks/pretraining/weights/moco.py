"""Weights from pictures without labels: as SimCLR, with a slow copy of the encoder and a queue of its features.

He et al., "Momentum contrast for unsupervised visual representation learning", CVPR 2020. Files of MoCo hold both
encoders under names that differ in one letter; the slow one is not what is taken.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedMoCo(WeightsTrainer):
    """nnU-Net whose encoder starts from MoCo."""

    weights_trick = "PretrainedMoCo"
