"""DeepLabV3+: features of several receptive fields, joined with one early feature map.

Chen et al., "Encoder-decoder with atrous separable convolution for semantic image segmentation", ECCV 2018. As
segmentation-models-pytorch has it: a ResNet-50 whose last stage keeps 1/16 of the resolution, separable convolutions
with gaps of 12, 24 and 36, 48 channels of the early features.

The IFE paper enhances the 48 early channels (ratio r1), its published code also the 256 of the pyramid (r2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from nnunet_tricks.tricks.network.architecture.trainer import Interface, Sizes
from nnunet_tricks.tricks.network.architecture.whole import WholeNetworkTrainer
from nnunet_tricks.tricks.network.enhancement.places import Place
from nnunet_tricks.tricks.network.enhancement.selection import Enhancement


class nnUNetTrainerDeepLabV3Plus(WholeNetworkTrainer):
    """nnU-Net with DeepLabV3+ in place of its planned network."""

    architecture = "DeepLabV3Plus"
    sizes: ClassVar[Sizes] = {
        "full": {"encoder_name": "resnet50"},
        "small": {"encoder_name": "resnet18", "decoder_channels": 16},
    }

    @classmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """The library's network."""
        from segmentation_models_pytorch import DeepLabV3Plus

        class WithPlaces(DeepLabV3Plus):
            """DeepLabV3+ that says where features can be enhanced."""

            def ife_places(self) -> Sequence[Place]:
                """The early features, then those of the pyramid."""
                return _places(self.decoder)

        WithPlaces.__name__ = WithPlaces.__qualname__ = "DeepLabV3Plus"
        return WithPlaces(encoder_weights=None, in_channels=interface.channels, classes=interface.classes, **size)

    @classmethod
    def check_batch(cls, batch_size: int) -> None:
        """Refuse batches of one patch: the pyramid's pooled features would be a single value for batch norm."""
        if batch_size < 2:
            raise ValueError(
                f"{cls.architecture} needs at least 2 patches per batch, and per GPU where several train; got "
                f"{batch_size}: plan larger batches with 'nnunet-tricks plan --batch' or train on fewer GPUs"
            )


def _places(decoder: Any) -> Sequence[Place]:
    early = decoder.block1[0].out_channels
    pyramid = decoder.block2[0][0].in_channels - early

    def put_early(enhancement: Enhancement) -> None:
        decoder.block1 = nn.Sequential(*decoder.block1, enhancement)
        _widen(decoder, enhancement.count)

    def put_pyramid(enhancement: Enhancement) -> None:
        decoder.aspp = nn.Sequential(*decoder.aspp, enhancement)
        _widen(decoder, enhancement.count)

    return Place("low-level features", early, put_early), Place("pyramid (ASPP)", pyramid, put_pyramid)


def _widen(decoder: Any, count: int) -> None:
    """Make room for more channels in the convolution that joins both, whose weights are new then."""
    if not count:
        return
    from segmentation_models_pytorch.base.initialization import initialize_decoder

    old = decoder.block2[0]
    decoder.block2[0] = type(old)(old[0].in_channels + count, old[1].out_channels, kernel_size=3, padding=1, bias=False)
    initialize_decoder(decoder.block2[0])
