"""nnU-Net's decoder with parts on the way of what it gets: bottleneck, paths, enhancements and gates.

Tricks of several slots share this one decoder. Each puts its parts in, in whatever order a name lists them, and
``forward`` has the one order in which they work::

    deepest features -> bottleneck -> upsampling -------------------------+
                                                                         |-> convolutions of a stage
    features of the encoder -> path -> enhancement (IFE) -> times gate ---+
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.tricks.network.enhancement.selection import Enhancement
from nnunet_tricks.tricks.network.enhancement.stages import axes_of

PARTS = ("bottleneck", "paths", "gates", "nested")
"""Children of the decoder with weights that a plain U-Net does not have."""


class EnhancedDecoder(UNetDecoder):
    """A decoder with parts that change what it gets from the encoder; without any it is nnU-Net's bit for bit.

    Skip connections are counted from 0, the one at full resolution. Parts are called with tensors (B, C, *spatial).

    Attributes:
        bottleneck: Module from the deepest features to others of the same shape, or ``None``.
        paths: Module of each skip connection that has one, from features to others of the same shape.
        enhancements: Enhancement of each skip connection that has one, which adds channels.
        gates: Gate of each skip connection that has one. It gets the features behind the path, before any channels are
            added, the decoder's features of the stage below, and the same upsampled. It returns coefficients
            (B, 1, *spatial), with which all channels are multiplied. A forward hook of a gate sees them.
    """

    bottleneck: nn.Module | None

    def __init__(self, decoder: UNetDecoder) -> None:
        """Take over the layers of a decoder, and its parts if it has any.

        Args:
            decoder: nnU-Net's decoder, or one of these; not to be used afterwards.
        """
        nn.Module.__init__(self)
        self.deep_supervision = decoder.deep_supervision
        self.num_classes = decoder.num_classes
        self.register_module("bottleneck", None)
        for name, layer in decoder.named_children():
            self.add_module(name, layer)
        for name in ("paths", "enhancements", "gates"):
            if name not in self._modules:
                self.add_module(name, nn.ModuleDict())

    def forward(self, skips: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Features of all encoder stages, full resolution first -> logits."""
        *features, deepest = skips
        passed = self.passed(features)
        heads = list(self.seg_layers) if self.deep_supervision else [None] * (len(passed) - 1) + [self.seg_layers[-1]]
        outputs = self.decoded(deepest, passed, self.carried(passed), heads)
        return outputs[::-1] if self.deep_supervision else outputs[-1]

    def decoded(
        self,
        deepest: Tensor,
        passed: Sequence[Tensor],
        carried: Sequence[Tensor],
        heads: Sequence[nn.Module | None],
    ) -> list[Tensor]:
        """The logits of the decoder's stages, full resolution last.

        Args:
            deepest: Deepest features of the encoder.
            passed: Other features of the encoder behind their paths, full resolution first.
            carried: What comes along each skip connection, in the same order.
            heads: Output layer of each stage, full resolution last; ``None`` where no logits are wanted.
        """
        below = deepest if self.bottleneck is None else self.bottleneck(deepest)
        outputs = []
        for number, stage in enumerate(self.stages):
            skip = len(passed) - 1 - number
            upsampled = self.transpconvs[number](below)
            beside = carried[skip]
            if str(skip) in self.gates:
                beside = beside * self.gates[str(skip)](passed[skip], below, upsampled)
            below = stage(torch.cat((upsampled, beside), 1))
            head = heads[number]
            if head is not None:
                outputs.append(head(below))
        return outputs

    def passed(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Features of all skip connections behind their paths."""
        return [
            self.paths[str(skip)](level) if str(skip) in self.paths else level for skip, level in enumerate(features)
        ]

    def carried(self, passed: Sequence[Tensor]) -> list[Tensor]:
        """What comes along each skip connection before its gate, from features behind their paths."""
        return [
            self.enhancements[str(skip)](level) if str(skip) in self.enhancements else level
            for skip, level in enumerate(passed)
        ]

    def enhance(self, enhancements: Mapping[int, Enhancement]) -> None:
        """Put enhancements on skip connections, and widen the first convolution of their stages.

        Args:
            enhancements: Enhancements by number of the skip connection.
        """
        for skip, enhancement in enhancements.items():
            self.enhancements[str(skip)] = enhancement
            if enhancement.count:
                widen(self.stages[-1 - skip], enhancement.count)

    def enhanced(self) -> Iterator[tuple[int, Enhancement]]:
        """The number of each enhanced skip connection, and its enhancement."""
        for skip, enhancement in self.enhancements.items():
            yield int(skip), cast(Enhancement, enhancement)

    def added(self) -> Mapping[int, int]:
        """Channels that come along skip connections beside those of the encoder, by number of the skip connection."""
        return {skip: enhancement.count for skip, enhancement in self.enhanced() if enhancement.count}


def with_parts(network: Any, trick: str) -> EnhancedDecoder:
    """The decoder of one of nnU-Net's planned U-Nets, ready to take parts; the network has it from now on.

    Args:
        network: The network.
        trick: Name of the trick, for the message.

    Raises:
        ValueError: If the network is of another kind.
    """
    decoder = getattr(network, "decoder", None)
    if isinstance(decoder, EnhancedDecoder):
        return decoder
    if type(decoder) is not UNetDecoder:
        kind = type(getattr(network, "body", network)).__name__
        raise ValueError(
            f"{trick} is for nnU-Net's own U-Nets (PlainConvUNet, ResidualEncoderUNet) and timm encoders under "
            f"nnU-Net's decoder (ResNet50UNet and others); the plans or another trick name {kind}"
        )
    network.decoder = EnhancedDecoder(decoder)
    return cast(EnhancedDecoder, network.decoder)


def decoder_with_parts(network: nn.Module) -> EnhancedDecoder | None:
    """The decoder of a network if it can take parts; also inside DDP and torch.compile."""
    if isinstance(network, DistributedDataParallel):
        network = network.module
    if isinstance(network, OptimizedModule):
        network = network._orig_mod
    decoder = getattr(network, "decoder", None)
    return decoder if isinstance(decoder, EnhancedDecoder) else None


def enhanced_decoder(network: nn.Module) -> EnhancedDecoder | None:
    """The decoder of a network if it enhances skip connections; also inside DDP and torch.compile."""
    decoder = decoder_with_parts(network)
    return decoder if decoder is not None and len(decoder.enhancements) else None


def axes_of_stage(decoder: UNetDecoder, stage: int) -> tuple[int, ...]:
    """Spatial axes along which the convolutions of an encoder stage look."""
    encoder = decoder.encoder
    return axes_of(encoder.kernel_sizes[stage], convert_conv_op_to_dim(encoder.conv_op))


def widened(decoder: EnhancedDecoder) -> dict[str, int]:
    """The weights with more input channels than in a plain U-Net, and how many channels the plain U-Net has there.

    Returns:
        Channels of the plain U-Net by name in the decoder's state, as often as the state holds the weights.
    """
    channels = decoder.encoder.output_channels
    return {
        f"stages.{len(decoder.stages) - 1 - skip}.convs.0.{name}.weight": 2 * channels[skip]
        for skip in decoder.added()
        for name in ("conv", "all_modules.0")
    }


def widen(blocks: Any, count: int) -> nn.Module:
    """Replace the first convolution of a decoder stage by one with ``count`` more input channels and new weights.

    Args:
        blocks: Stage of nnU-Net's decoder.
        count: Number of channels that come in beside the planned ones.

    Returns:
        The new convolution.
    """
    block = blocks.convs[0]
    old = block.conv
    new: nn.Module = type(old)(
        old.in_channels + count,
        old.out_channels,
        old.kernel_size,
        old.stride,
        padding=old.padding,
        dilation=old.dilation,
        bias=old.bias is not None,
    )
    block.conv = new
    block.all_modules[0] = new
    block.input_channels = old.in_channels + count
    return new
