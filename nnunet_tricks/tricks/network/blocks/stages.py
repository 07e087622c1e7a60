"""Stages of nnU-Net's planned U-Nets, found and changed after the network is built.

nnU-Net plans each stage: its channels, its stride and its kernel. A block trick replaces what lies in between, and an
attention trick adds something behind it. Stages are the ``StackedConvBlocks`` of the encoder and of the decoder, and
the ``StackedResidualBlocks`` of residual encoders. The stem of a residual encoder is none: it has one convolution,
which reads the image. Neither are the stages of a timm encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from dynamic_network_architectures.building_blocks.residual import BasicBlockD, StackedResidualBlocks
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU, StackedConvBlocks
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers

CONVOLUTIONS = 2
"""Convolutions of a unit, as in the papers' blocks and in nnU-Net's residual ones. A planned stage with more has
several units."""

NODES = "nested.nodes."
"""Where a decoder has the nodes of U-Net++."""


@dataclass(frozen=True)
class UnitShape:
    """What goes into a unit and comes out of it, by the plans.

    Attributes:
        in_channels: Number of channels that come in.
        out_channels: Number of channels that go out.
        kernel: Size of the planned convolutions along each axis; 1 where voxels are far apart.
        stride: Step along each axis; sizes are divided by it.
        convolutions: Number of planned convolutions in the unit's place, 1 or 2.
        reads_image: Whether the image comes in, and not features.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    convolutions: int = CONVOLUTIONS
    reads_image: bool = False

    @property
    def is_strided(self) -> bool:
        """Whether fewer voxels go out than come in."""
        return any(step > 1 for step in self.stride)


class BlockStage(nn.Module):
    """A stage of other blocks.

    Attributes:
        convs: Its units, which compute one after the other. The name is that of nnU-Net's own stages.
        output_channels: Number of channels that go out.
        kernel: Size of the planned convolutions along each axis.
    """

    def __init__(self, units: Sequence[nn.Module], shape: UnitShape) -> None:
        """Put units one behind the other.

        Args:
            units: The units.
            shape: What goes into the first of them and comes out of it.
        """
        super().__init__()
        self.convs = nn.Sequential(*units)
        self.output_channels = shape.out_channels
        self.kernel = shape.kernel

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C_in, *spatial) -> (B, C_out, *spatial / stride)."""
        return cast(Tensor, self.convs(features))


_KINDS = (StackedConvBlocks, StackedResidualBlocks, BlockStage)


@dataclass(frozen=True)
class FoundStage:
    """A stage in a network.

    Attributes:
        name: Path of the stage in the network.
        stage: The stage itself.
    """

    name: str
    stage: Any

    @property
    def title(self) -> str:
        """Name for people.

        Examples:
            >>> FoundStage("encoder.stages.2.0", None).title, FoundStage("decoder.stages.0", None).title
            ('encoder stage 2', 'decoder stage 0')
            >>> FoundStage("decoder.nested.nodes.0_2.convolutions", None).title
            'decoder node 0, 2'
        """
        part, _, place = self.name.partition(".")
        if place.startswith(NODES):
            return f"{part} node {place.removeprefix(NODES).partition('.')[0].replace('_', ', ')}"
        return f"{part} {place.replace('stages.', 'stage ').partition('.')[0]}"

    @property
    def is_residual(self) -> bool:
        """Whether nnU-Net planned residual blocks for it."""
        return isinstance(self.stage, StackedResidualBlocks)

    @property
    def steps(self) -> nn.Sequential:
        """What it computes, one after the other."""
        return cast(nn.Sequential, self.stage.blocks if self.is_residual else self.stage.convs)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size of its planned convolutions along each axis."""
        return self.stage.kernel if isinstance(self.stage, BlockStage) else tuple(self._first.kernel_size)

    def units(self) -> Iterator[UnitShape]:
        """What stands in place of what nnU-Net planned: a unit for each residual block, or for two convolutions.

        Raises:
            ValueError: If it has bottleneck blocks, which no plans of nnU-Net's planners have.
        """
        planned = list(self.steps)
        kind = BasicBlockD if self.is_residual else ConvDropoutNormReLU
        if other := next((step for step in planned if not isinstance(step, kind)), None):
            raise ValueError(
                f"{self.name} is made of {type(other).__name__}, and other blocks can only replace {kind.__name__}"
            )
        convolutions = (
            [CONVOLUTIONS] * len(planned)
            if self.is_residual
            else [len(planned[i : i + CONVOLUTIONS]) for i in range(0, len(planned), CONVOLUTIONS)]
        )
        first = UnitShape(
            in_channels=self._first.in_channels,
            out_channels=self.stage.output_channels,
            kernel=self.kernel,
            stride=tuple(self._first.stride),
            convolutions=convolutions[0],
            reads_image=self.name.startswith("encoder.stages.0.") and not self.is_residual,
        )
        yield first
        ones = (1,) * len(first.stride)
        for count in convolutions[1:]:
            yield replace(first, in_channels=first.out_channels, stride=ones, convolutions=count, reads_image=False)

    @property
    def _first(self) -> Any:
        """Its first convolution."""
        step: Any = self.steps[0]
        return step.conv1.conv if self.is_residual else step.conv


def stages_of(network: nn.Module, trick: str) -> list[FoundStage]:
    """The stages of a planned network, encoder first.

    Args:
        network: The network, whatever tricks have changed in it.
        trick: Name of the trick that looks for them, for the message.

    Raises:
        ValueError: If the network has none.
    """
    stages = [
        FoundStage(name, module)
        for name, module in network.named_modules()
        if isinstance(module, _KINDS) and name.startswith(("encoder.stages", "decoder."))
    ]
    if not stages:
        kind = type(getattr(network, "body", network)).__name__
        raise ValueError(
            f"{trick} changes the stages of nnU-Net's own U-Nets (PlainConvUNet, ResidualEncoderUNet), or of its "
            f"decoder under a timm encoder; the plans or another trick name {kind}"
        )
    return stages


def replace_stages(
    network: nn.Module,
    trick: str,
    make: Callable[[UnitShape, PlannedLayers], nn.Module],
    *,
    residual: bool = True,
) -> None:
    """Put other blocks into the place of nnU-Net's, with first weights as nnU-Net draws them.

    Args:
        network: The network, which is changed.
        trick: Name of the trick, for messages.
        make: Makes a unit.
        residual: Whether stages of residual blocks are replaced, too.

    Raises:
        ValueError: If the network has no such stages.
    """
    layers = PlannedLayers.of(network.encoder) if hasattr(network, "encoder") else None
    for found in stages_of(network, trick):
        if layers is None or (found.is_residual and not residual):
            continue
        shapes = list(found.units())
        stage = BlockStage([make(shape, layers) for shape in shapes], shapes[0])
        stage.apply(cast(Any, network).initialize)
        parent, _, name = found.name.rpartition(".")
        setattr(network.get_submodule(parent), name, stage)


def extend_stages(network: nn.Module, trick: str, make: Callable[[FoundStage, PlannedLayers], nn.Module]) -> None:
    """Put something behind each stage; names of the weights that were there stay.

    Args:
        network: The network, which is changed.
        trick: Name of the trick, for messages.
        make: Makes what comes behind a stage.

    Raises:
        ValueError: If the network has no stages of nnU-Net's.
    """
    found = stages_of(network, trick)
    layers = PlannedLayers.of(cast(Any, network).encoder)
    for stage in found:
        addition = make(stage, layers)
        addition.apply(cast(Any, network).initialize)
        stage.steps.append(addition)


def count_of(network: nn.Module, kind: type[nn.Module]) -> str:
    """In how many stages of encoder and decoder a network has modules of a kind, in words for the log.

    Args:
        network: The network; also inside DDP and torch.compile.
        kind: Class of the modules, one in each stage, which may have others inside.
    """
    names: list[str] = []
    for name, module in network.named_modules():
        if isinstance(module, kind) and not (names and name.startswith(f"{names[-1]}.")):
            names.append(name)
    below = sum("encoder." in name for name in names)
    return f"{below} stages of the encoder and {len(names) - below} of the decoder"
