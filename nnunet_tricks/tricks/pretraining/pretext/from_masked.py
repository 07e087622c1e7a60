"""Trainings that start from a network with which hidden blocks were restored, of the same images."""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.pretext.taken_up import TakesUpTrainer


class nnUNetTrainerMasked(TakesUpTrainer):
    """nnU-Net that starts from ``nnUNetTrainerPretextMasked``."""

    weights_trick = "Masked"
