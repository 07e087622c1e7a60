"""Weights from pictures without labels: MoCo without a queue, for convolutional networks and transformers.

Chen et al., "An empirical study of training self-supervised vision transformers", ICCV 2021.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedMoCoV3(WeightsTrainer):
    """nnU-Net whose encoder starts from MoCo v3."""

    weights_trick = "PretrainedMoCoV3"
