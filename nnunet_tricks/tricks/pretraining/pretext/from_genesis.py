"""Trainings that start from a network with which spoilt patches were restored, of the same images."""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.pretext.taken_up import TakesUpTrainer


class nnUNetTrainerGenesis(TakesUpTrainer):
    """nnU-Net that starts from ``nnUNetTrainerPretextGenesis``."""

    weights_trick = "Genesis"
