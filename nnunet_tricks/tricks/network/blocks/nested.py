r"""U-Net++'s nodes between the encoder and nnU-Net's decoder.

$X^{i,j} = H[X^{i,0}, ..., X^{i,j-1}, U(X^{i+1,j-1})]$ with $X^{i,0}$ the features of encoder stage i, U a transposed
convolution with the plans' stride and H the plans' convolutions of a decoder stage. Zhou et al., "UNet++: a nested
U-Net architecture for medical image segmentation", DLMIA 2018, eq. 1. The nodes with the highest j of each i are
nnU-Net's decoder, which gets all others along its skip connections. Only they have a bottleneck and gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from dynamic_network_architectures.building_blocks.helper import get_matching_convtransp
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, widen


class NestedNode(nn.Module):
    """A node: its features from those of its stage and of the stage below."""

    def __init__(self, decoder: UNetDecoder, stage: int, column: int) -> None:
        """Make the layers as nnU-Net makes those of its decoder.

        Args:
            decoder: nnU-Net's decoder.
            stage: Number of the stage, i.
            column: Number of the node in its stage, j.
        """
        super().__init__()
        encoder: Any = decoder.encoder
        channels, below, stride = encoder.output_channels[stage], encoder.output_channels[stage + 1], encoder.strides
        upsampling = get_matching_convtransp(conv_op=encoder.conv_op)
        planned: Any = decoder.stages[-1 - stage]
        self.upsampling = upsampling(below, channels, stride[stage + 1], stride[stage + 1], bias=encoder.conv_bias)
        self.convolutions = StackedConvBlocks(
            len(planned.convs),
            encoder.conv_op,
            (column + 1) * channels,
            channels,
            encoder.kernel_sizes[stage],
            1,
            encoder.conv_bias,
            encoder.norm_op,
            encoder.norm_op_kwargs,
            encoder.dropout_op,
            encoder.dropout_op_kwargs,
            encoder.nonlin,
            encoder.nonlin_kwargs,
            PlannedLayers.of(encoder).nonlin_first,
        )

    def forward(self, row: Sequence[Tensor], below: Tensor) -> Tensor:
        """Features of the stage so far, each (B, C, *spatial), and one of the stage below -> (B, C, *spatial)."""
        features: Tensor = self.convolutions(torch.cat((self.upsampling(below), *row), 1))
        return features


class NestedNodes(nn.Module):
    """All nodes between the encoder and the decoder."""

    def __init__(self, decoder: UNetDecoder) -> None:
        """Make the nodes of a decoder's skip connections."""
        super().__init__()
        depth = len(decoder.stages)
        self.nodes = nn.ModuleDict(
            {
                name_of(stage, column): NestedNode(decoder, stage, column)
                for column in range(1, depth)
                for stage in range(depth - column)
            }
        )

    def forward(self, features: Sequence[Tensor], passed: Sequence[Tensor]) -> list[list[Tensor]]:
        """The features of each stage and its nodes, X^(i,0), X^(i,1) and so on, for each i.

        Args:
            features: Features of the encoder, full resolution first, without the deepest.
            passed: The same behind their paths.
        """
        rows = [[level] for level in passed]
        below = list(features)
        for column in range(1, len(rows)):
            stages = range(len(rows) - column)
            below = [self.nodes[name_of(stage, column)](rows[stage], below[stage + 1]) for stage in stages]
            for stage in stages:
                rows[stage].append(below[stage])
        return rows


def name_of(stage: int, column: int) -> str:
    """Name of a node among the others.

    Examples:
        >>> name_of(0, 2)
        '0_2'
    """
    return f"{stage}_{column}"


class NestedDecoder(EnhancedDecoder):
    """nnU-Net's decoder behind nested nodes; all its outputs have full resolution.

    Outputs are those of the decoder and of the nodes at full resolution, from the longest way to the shortest.

    Attributes:
        nested: The nodes.
        prune: Number of the deepest stages that predictions leave out.
    """

    nested: NestedNodes

    def __init__(self, decoder: UNetDecoder, *, single: bool, prune: int = 0) -> None:
        """Take over the layers of a decoder and its parts, and widen the first convolutions of its stages.

        Args:
            decoder: nnU-Net's decoder, maybe with parts; not to be used afterwards.
            single: Whether there is one output only.
            prune: Number of the deepest stages that predictions leave out.
        """
        nested = NestedNodes(decoder)
        super().__init__(decoder)
        self.nested = nested
        self.prune = prune
        encoder: Any = decoder.encoder
        for skip, count in self.added().items():
            widen(self.stages[-1 - skip], count)
        layers: list[nn.Module] = list(decoder.seg_layers)
        others = [encoder.conv_op(encoder.output_channels[0], decoder.num_classes, 1, bias=True) for _ in layers[1:]]
        self.seg_layers = nn.ModuleList([*([] if single else others), layers[-1]])

    def new_layers(self) -> Iterator[nn.Module]:
        """The layers that are not nnU-Net's, and the first convolution of each stage that is wider."""
        yield self.nested
        yield from list(self.seg_layers)[:-1]
        for skip in self.added():
            yield cast(Any, self.stages[-1 - skip]).convs[0].conv

    def added(self) -> Mapping[int, int]:
        """Channels of the nodes, by number of the skip connection."""
        channels = cast(Any, self.encoder).output_channels
        depth = len(self.stages)
        return {skip: (depth - 1 - skip) * channels[skip] for skip in range(depth - 1)}

    @property
    def is_pruned(self) -> bool:
        """Whether the next output is that of a node; not in training, and not where outputs of all nodes are wanted."""
        return bool(self.prune) and not self.training and not self.deep_supervision

    def forward(self, skips: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Features of all encoder stages, full resolution first -> logits; the deepest ``prune`` need not be there."""
        if self.is_pruned:
            column = len(self.stages) - self.prune
            levels = skips[: column + 1]
            node = self.nested(levels, self.passed(levels))[0][column]
            return cast(Tensor, self.seg_layers[column - 1](node))
        *features, deepest = skips
        passed = self.passed(features)
        rows = self.nested(features, passed)
        *nodes, last = self.seg_layers
        carried = [torch.cat(row, 1) for row in rows]
        (logits,) = self.decoded(deepest, passed, carried, [None] * (len(rows) - 1) + [last])
        if not self.deep_supervision:
            return logits
        shorter = [head(node) for head, node in zip(nodes, rows[0][1:], strict=False)]  # a single output has none
        return [logits, *reversed(shorter)]


class StagesUpTo(nn.Sequential):
    """Stages of an encoder, the deepest of which are left out when a trained network predicts.

    nnU-Net's encoders go through their stages one after the other.
    """

    def __init__(self, stages: nn.Sequential, decoder: NestedDecoder) -> None:
        """Take over stages.

        Args:
            stages: Stages of the encoder.
            decoder: Decoder of the network, which knows how many are needed.
        """
        super().__init__(*stages)
        self._decoder = (decoder,)  # in a tuple, as it is no child

    def __iter__(self) -> Iterator[nn.Module]:
        """All stages, or those that are needed."""
        decoder = self._decoder[0]
        every = cast(list[nn.Module], list(self._modules.values()))
        return iter(every[: len(every) - decoder.prune] if decoder.is_pruned else every)
