"""SegFormer-B3: a transformer of four resolutions under a decoder of single convolutions.

Xie et al., "SegFormer: simple and efficient design for semantic segmentation with transformers", NeurIPS 2021. As
segmentation-models-pytorch has it. Its encoder's code has NVIDIA's Source Code License, which does not allow every use.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer


class nnUNetTrainerSegFormerB3(WholeNetworkTrainer):
    """nnU-Net with SegFormer-B3 in place of its planned network."""

    architecture = "SegFormerB3"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder_name": "mit_b3"},
        "small": {"encoder_name": "mit_b0", "decoder_segmentation_channels": 16},
    }

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """The library's network."""
        from segmentation_models_pytorch import Segformer

        return Segformer(encoder_weights=None, in_channels=interface.channels, classes=interface.classes, **size)
