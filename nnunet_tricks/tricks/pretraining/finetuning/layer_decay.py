r"""Learning rates that fall from the decoder to the image: $\eta g^{L - l + 1}$ in stage l of an encoder of L stages.

Clark et al., "ELECTRA", ICLR 2020, appendix; for images Bao et al., "BEiT", ICLR 2022. The decoder has the rate itself.
Layers before the first stage are stage 0. A stage of a transformer is one of its blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nnunet_tricks.tricks.pretraining.finetuning.parts import depths, encoder_of
from nnunet_tricks.tricks.pretraining.finetuning.trainer import RatesTrainer


class nnUNetTrainerLayerDecay(RatesTrainer):
    """nnU-Net whose encoder learns the more slowly the nearer a stage is to the image."""

    tuning_trick = "LayerDecay"

    def rate_factors(self) -> Mapping[nn.Parameter, float]:
        """A factor for each stage of the encoder."""
        stages = dict(depths(encoder_of(self.network, self.tuning_trick)))
        last = max(stages.values())
        factor = self.parameters["LayerDecay"].factor
        return {parameter: float(factor ** (last - depth + 1)) for parameter, depth in stages.items()}
