"""The trainer that tricks with parts in nnU-Net's decoder build on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from nnunet_tricks.tricks.network.blocks.planned_network import PlannedNetworkTrainer
from nnunet_tricks.tricks.network.enhancement import pretrained
from nnunet_tricks.tricks.network.enhancement.decoder import decoder_with_parts


class DecoderTrainer(PlannedNetworkTrainer):
    """A trainer whose decoder has parts that a plain U-Net does not have; ``-pretrained_weights`` of one are taken."""

    @classmethod
    def adapted_weights(cls, weights: Mapping[str, Any], network: nn.Module) -> Mapping[str, Any]:
        """Weights, also those of a plain U-Net, with what the parts need."""
        weights = super().adapted_weights(weights, network)
        decoder = decoder_with_parts(network)
        return {**weights, **pretrained.filled_up(weights, decoder)} if decoder else weights

    def initialize(self) -> None:
        """Build everything; from now on weights of plain U-Nets are taken."""
        super().initialize()
        # nnU-Net loads pretrained weights after this, and before the training starts.
        pretrained.accept_plain_networks()

    def on_train_start(self) -> None:
        """Start as nnU-Net does; from now on no weights are loaded any more."""
        super().on_train_start()
        pretrained.leave_it_to_nnunet()
