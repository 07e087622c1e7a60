"""A lower learning rate for the pretrained encoder than for the decoder, which begins with random weights.

Howard and Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.2: layers that
know different things are tuned to different extents. With a factor of 1 the training is as without the trick.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nnunet_tricks.tricks.pretraining.finetuning.parts import encoder_of
from nnunet_tricks.tricks.pretraining.finetuning.trainer import RatesTrainer


class nnUNetTrainerEncoderLR(RatesTrainer):
    """nnU-Net whose encoder learns at a part of the rate, in each epoch."""

    tuning_trick = "EncoderLR"

    def rate_factors(self) -> Mapping[nn.Parameter, float]:
        """The factor of the name for all parameters of the encoder."""
        encoder = encoder_of(self.network, self.tuning_trick)
        return dict.fromkeys(encoder.parameters(), self.parameters["EncoderLR"].factor)
