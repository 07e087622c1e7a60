"""Trainings that start from a network with which views of patches were told apart, of the same images."""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.pretext.taken_up import TakesUpTrainer


class nnUNetTrainerContrastive(TakesUpTrainer):
    """nnU-Net that starts from ``nnUNetTrainerPretextContrastive``."""

    weights_trick = "Contrastive"
    has_decoder = False
