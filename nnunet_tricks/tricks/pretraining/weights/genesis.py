"""Weights from chest CTs without labels: a 3D U-Net repairs patches that were spoilt.

Zhou et al., "Models Genesis", Medical Image Analysis 2021. The published file is of a 3D U-Net of its own,
``GenesisUNet3D``. Its images were clipped to -1000 to 1000 HU and scaled to 0 to 1.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerModelsGenesis(WeightsTrainer):
    """nnU-Net whose 3D U-Net starts from Models Genesis."""

    weights_trick = "ModelsGenesis"
