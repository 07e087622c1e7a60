"""Weights from pictures without labels: two views of a picture shall have like features, those of others not.

Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedSimCLR(WeightsTrainer):
    """nnU-Net whose encoder starts from SimCLR."""

    weights_trick = "PretrainedSimCLR"
