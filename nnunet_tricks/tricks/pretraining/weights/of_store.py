"""Weights of the user's: an entry of the store, by the word that it was added with.

``nnunet-tricks weights add FILE --as mine --for resnet50``, and then ``nnUNetTrainerResNet50UNet_Pretrained``: ``mine``
is the default. Entries for ``nnunet`` are encoders of nnU-Net's own networks, from its checkpoints and from nnssl.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrained(WeightsTrainer):
    """nnU-Net whose encoder starts from an entry of the store."""

    weights_trick = "Pretrained"

    @classmethod
    def entry_name(cls) -> str:
        """The word in the trainer's name."""
        return str(cls.parameters["Pretrained"].entry)
