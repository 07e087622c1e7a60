"""The trainer that tricks with a module behind the deepest stage build on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.first_weights import draw_weights
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers, deepest_size
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, decoder_with_parts, with_parts
from nnunet_tricks.tricks.network.enhancement.decoder_trainer import DecoderTrainer


@dataclass(frozen=True)
class Bottleneck:
    """The features of a network's deepest stage.

    Attributes:
        channels: Number of channels.
        size: Voxels along each axis, for a patch of the plans.
        kernel: Kernel of the stage's convolutions along each axis.
        layers: Layers of the network.
    """

    channels: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    layers: PlannedLayers

    @classmethod
    def of(cls, encoder: Any, patch: Sequence[int]) -> Bottleneck:
        """The features of an encoder, for patches of a size."""
        layers, kernel = PlannedLayers.of(encoder), encoder.kernel_sizes[-1]
        return cls(
            encoder.output_channels[-1],
            deepest_size(patch, encoder.strides),
            (kernel,) * layers.dimensions if isinstance(kernel, int) else tuple(kernel),
            layers,
        )


class BottleneckTrainer(DecoderTrainer):
    """A trainer whose network has a module between its deepest stage and the decoder.

    Attributes:
        bottleneck_trick: Name of the trick in the catalogue.
    """

    bottleneck_trick: ClassVar[str]

    @classmethod
    @abstractmethod
    def make_bottleneck(cls, place: Bottleneck) -> nn.Module:
        """The module, from features (B, C, *spatial) to others of the same shape.

        Args:
            place: The features.

        Raises:
            ValueError: If settings do not fit the features.
        """

    # Prediction calls this on the class, so the settings can only come from its name.
    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network with the module."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        decoder = with_parts(network, cls.bottleneck_trick)
        module = cls.make_bottleneck(Bottleneck.of(decoder.encoder, configuration_manager.patch_size))
        draw_weights(module, network)
        decoder.bottleneck = module
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log what it costs and what does not fit."""
        super().initialize()
        decoder = cast(EnhancedDecoder, decoder_with_parts(self.network))
        for line in self.bottleneck_notes(Bottleneck.of(decoder.encoder, self.configuration_manager.patch_size)):
            self.print_to_log_file(f"{self.bottleneck_trick}: {line}", add_timestamp=False)
        log_cost(self, BottleneckTrainer, self.bottleneck_trick)

    def bottleneck_notes(self, place: Bottleneck) -> Iterator[str]:
        """Lines for the log on what the user should know.

        Args:
            place: The features.
        """
        yield from ()
