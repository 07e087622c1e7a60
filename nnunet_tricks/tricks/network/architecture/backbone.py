"""An encoder of timm's under nnU-Net's own decoder.

timm's encoders begin at half or a quarter of the resolution. A stage at full resolution comes before them, so that the
decoder ends there, as nnU-Net's does. Deep supervision, enhanced skip connections and nnU-Net's prediction work as with
the planned U-Net. Norm tricks change the decoder only: a timm encoder keeps its own layers, which its weights need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import ceil
from operator import mul
from pydoc import locate
from typing import Any

from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import Tensor, nn

from nnunet_tricks.tricks.network.architecture.fitting import cropped, padded, padded_size
from nnunet_tricks.tricks.network.architecture.trainer import ArchitectureTrainer, Interface

FULL_RESOLUTION_CHANNELS = 32
"""Channels of the stage at full resolution, as in nnU-Net's plans."""
CONVOLUTIONS = 2
"""Convolutions of each stage of the decoder, as in nnU-Net's plans."""


class TimmEncoder(nn.Module):
    """A stage at full resolution, then the stages of a timm encoder; nnU-Net's decoder reads its attributes.

    Attributes:
        backbone: timm's ``features_only`` model.
        stem: Stage at full resolution.
        output_channels: Channels of each stage, full resolution first.
        strides: Stride of each stage along each axis.
        multiple: Number that the sides of an image must be multiples of.
    """

    def __init__(self, name: str, in_channels: int, planned: Mapping[str, Any], **settings: Any) -> None:
        """Build it with random weights.

        Args:
            name: timm's name of the encoder.
            in_channels: Number of channels of the image.
            planned: Arguments of the planned network: its norm layers and activations.
            settings: Other arguments of timm's ``create_model``.

        Raises:
            ValueError: If the encoder does not hand out features of several resolutions.
        """
        super().__init__()
        import timm  # takes seconds, and not every trainer needs it

        self.backbone = timm.create_model(name, features_only=True, pretrained=False, in_chans=in_channels, **settings)
        stages: Any = self.backbone.feature_info
        reductions = stages.reduction()
        # Of several stages with the same resolution the last one knows most.
        self._kept = [i for i, r in enumerate(reductions) if r not in reductions[i + 1 :]]
        kept = [reductions[i] for i in self._kept]
        steps = [1, *(after // before for before, after in zip([1, *kept], kept, strict=False))]
        if len(kept) < 2 or list(accumulate(steps, mul)) != [1, *kept]:
            raise ValueError(
                f"a U-Net needs an encoder whose stages become smaller step by step, and those of {name} have strides "
                f"{reductions}"
            )
        self._last = str(getattr(self.backbone, "output_fmt", "")).endswith("NHWC")
        self.multiple = kept[-1]
        self.strides = [[step] * 2 for step in steps]
        self.output_channels = [
            FULL_RESOLUTION_CHANNELS,
            *(stages.channels()[i] for i in self._kept),
        ]
        self.kernel_sizes = [[3, 3]] * len(steps)
        self.conv_op = nn.Conv2d
        self.conv_bias = True
        self.norm_op = _class(planned.get("norm_op")) or nn.InstanceNorm2d
        self.norm_op_kwargs = planned.get("norm_op_kwargs") or {"eps": 1e-5, "affine": True}
        self.nonlin = _class(planned.get("nonlin")) or nn.LeakyReLU
        self.nonlin_kwargs = planned.get("nonlin_kwargs") or {"inplace": True}
        self.dropout_op, self.dropout_op_kwargs = None, None
        self.stem = StackedConvBlocks(
            CONVOLUTIONS,
            self.conv_op,
            in_channels,
            FULL_RESOLUTION_CHANNELS,
            3,
            1,
            self.conv_bias,
            self.norm_op,
            self.norm_op_kwargs,
            None,
            None,
            self.nonlin,
            self.nonlin_kwargs,
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W), multiples of ``multiple`` -> features of all stages, full resolution first."""
        features = self.backbone(image)
        chosen = [features[i].permute(0, 3, 1, 2) if self._last else features[i] for i in self._kept]
        # Some encoders compute with channels last, and a loss that is compiled fails on outputs in such an order.
        return [self.stem(image), *(level.contiguous() for level in chosen)]


class BackboneUNet(nn.Module):
    """A timm encoder with nnU-Net's decoder, for images of any size.

    Attributes:
        encoder: The encoder with its stage at full resolution.
        decoder: nnU-Net's decoder.
        level_strides: Strides of the decoder's outputs, full resolution first.
    """

    initialize = staticmethod(InitWeights_He(1e-2))
    """nnU-Net's weights for new layers."""

    def __init__(self, encoder: TimmEncoder, *, classes: int, deep_supervision: bool) -> None:
        """Put the decoder on an encoder.

        Args:
            encoder: The encoder; it keeps its weights.
            classes: Number of channels of the output.
            deep_supervision: Whether the output is a list, full resolution first.
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = UNetDecoder(encoder, classes, CONVOLUTIONS, deep_supervision)
        encoder.stem.apply(self.initialize)
        for name, layers in self.decoder.named_children():
            if name != "encoder":
                layers.apply(self.initialize)
        self.level_strides = list(accumulate((stride[0] for stride in encoder.strides[:-1]), mul))

    def inside(self, size: Sequence[int]) -> tuple[int, ...]:
        """Size to which images are padded."""
        return padded_size(size, self.encoder.multiple)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """(B, C, H, W) -> logits of the same size, and with deep supervision those of smaller levels."""
        size = image.shape[2:]
        output = self.decoder(self.encoder(padded(image, self.inside(size))))
        if isinstance(output, Tensor):
            return cropped(output, size)
        return [cropped(level, size, stride) for level, stride in zip(output, self.level_strides, strict=True)]


class BackboneTrainer(ArchitectureTrainer):
    """A trainer with a timm encoder under nnU-Net's decoder; ``sizes`` holds arguments of timm's ``create_model``.

    The argument ``encoder`` is timm's name.
    """

    @classmethod
    def make_network(cls, interface: Interface, **size: Any) -> nn.Module:
        """The encoder with nnU-Net's decoder."""
        return BackboneUNet(
            TimmEncoder(size.pop("encoder"), interface.channels, interface.planned, **size),
            classes=interface.classes,
            deep_supervision=interface.deep_supervision,
        )

    def network_notes(self) -> Iterator[str]:
        """As for every network, and which layers a norm trick changes."""
        yield from super().network_notes()
        for trick in self.trainer_name.switched:
            if "network.norm" in trick.info.hooks:
                yield f"{trick.info.name} is in the decoder; the encoder keeps its own norm layers"

    def _get_deep_supervision_scales(self) -> list[list[float]] | None:
        """Sizes of the decoder's outputs, in parts of a patch; nnU-Net's method knows only the planned strides."""
        if not self.enable_deep_supervision:
            return None
        patch = self.configuration_manager.patch_size
        # As many voxels as the cropped outputs have, also where the patch is no multiple of the stride.
        return [[ceil(side / stride) / side for side in patch] for stride in self.bare_network.level_strides]


def _class(name: Any) -> Any:
    """The class that plans name, as nnU-Net reads them."""
    return locate(name) if isinstance(name, str) else name
