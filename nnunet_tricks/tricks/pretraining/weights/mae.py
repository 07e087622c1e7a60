"""Weights from pictures without labels: a transformer fills in the three quarters of a picture that it does not see.

He et al., "Masked autoencoders are scalable vision learners", CVPR 2022. The licence allows no commercial use.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedMAE(WeightsTrainer):
    """nnU-Net whose encoder starts from a masked autoencoder."""

    weights_trick = "PretrainedMAE"
