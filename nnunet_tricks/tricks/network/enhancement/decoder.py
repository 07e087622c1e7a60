"""nnU-Net's planned U-Nets with enhanced skip connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.tricks.network.enhancement.selection import Enhancement
from nnunet_tricks.tricks.network.enhancement.stages import axes_of


class EnhancedDecoder(UNetDecoder):
    """A decoder that enhances some of the skip connections before it uses them; all else stays as in nnU-Net's.

    Attributes:
        enhancements: Enhancement of each skip connection that has one, by its number; 0 has full resolution.
    """

    def __init__(self, decoder: UNetDecoder, enhancements: Mapping[int, Enhancement]) -> None:
        """Take over the layers of a decoder, and widen the first convolution of the enhanced stages.

        Args:
            decoder: nnU-Net's decoder; not to be used afterwards.
            enhancements: Enhancements by number of the skip connection.
        """
        nn.Module.__init__(self)
        self.deep_supervision = decoder.deep_supervision
        self.num_classes = decoder.num_classes
        for name, layer in decoder.named_children():
            self.add_module(name, layer)
        self.enhancements = nn.ModuleDict({str(stage): layer for stage, layer in enhancements.items()})
        for stage, enhancement in enhancements.items():
            if enhancement.count:
                _widen(self.stages[-1 - stage], enhancement.count)

    def forward(self, skips: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Features of all encoder stages, full resolution first -> logits."""
        carried = list(skips)
        for stage, enhancement in self.enhanced():
            carried[stage] = enhancement(carried[stage])
        return super().forward(carried)

    def enhanced(self) -> Iterator[tuple[int, Enhancement]]:
        """The number of each enhanced skip connection, and its enhancement."""
        for stage, enhancement in self.enhancements.items():
            yield int(stage), cast(Enhancement, enhancement)


def plain_decoder(network: nn.Module, trick: str) -> UNetDecoder:
    """The decoder of one of nnU-Net's planned U-Nets.

    Raises:
        ValueError: If the network is of another kind.
    """
    decoder = getattr(network, "decoder", None)
    if type(decoder) is not UNetDecoder:
        raise ValueError(
            f"{trick} enhances the skip connections of nnU-Net's own U-Nets (PlainConvUNet, ResidualEncoderUNet); the "
            f"plans or another trick name {type(network).__name__}"
        )
    return decoder


def enhanced_decoder(network: nn.Module) -> EnhancedDecoder | None:
    """The enhanced decoder of a network, if it has one; also inside DDP and torch.compile."""
    if isinstance(network, DistributedDataParallel):
        network = network.module
    if isinstance(network, OptimizedModule):
        network = network._orig_mod
    decoder = getattr(network, "decoder", None)
    return decoder if isinstance(decoder, EnhancedDecoder) else None


def axes_of_stage(decoder: UNetDecoder, stage: int) -> tuple[int, ...]:
    """Spatial axes along which the convolutions of an encoder stage look."""
    encoder = decoder.encoder
    return axes_of(encoder.kernel_sizes[stage], convert_conv_op_to_dim(encoder.conv_op))


def widened(decoder: EnhancedDecoder) -> dict[str, int]:
    """The weights with more input channels than in a plain U-Net, and how many channels the plain U-Net has there.

    Returns:
        Channels of the plain U-Net by name in the decoder's state, as often as the state holds the weights.
    """
    return {
        f"stages.{len(decoder.stages) - 1 - stage}.convs.0.{name}.weight": 2 * enhancement.channels
        for stage, enhancement in decoder.enhanced()
        if enhancement.count
        for name in ("conv", "all_modules.0")
    }


def _widen(blocks: StackedConvBlocks, count: int) -> None:
    """Replace the first convolution of a decoder stage by one with ``count`` more input channels and new weights."""
    block = blocks.convs[0]
    old = block.conv
    new = type(old)(
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
    block.input_channels = new.in_channels
