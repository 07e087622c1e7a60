"""The trainer that tricks with attention behind each stage build on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.planned_network import PlannedNetworkTrainer
from nnunet_tricks.tricks.network.blocks.stages import (
    FoundStage,
    count_of,
    extend_stages,
)


class StageAttention(nn.Module):
    """Attention behind a stage: features times weights from 0 to 1.

    Attributes:
        view_name: Name for people, for pictures of the weights.
    """

    view_name: str = "attention"

    @abstractmethod
    def view(self, features: Tensor) -> Tensor:
        """The weights of channels (B, C) or of voxels (B, *spatial)."""


class AttentionTrainer(PlannedNetworkTrainer):
    """A trainer whose stages end with attention; everything before it stays, also the names of the weights.

    Weights of ``-pretrained_weights`` must come from a network with the same attention.

    Attributes:
        attention_trick: Name of the trick in the catalogue.
    """

    attention_trick: ClassVar[str]

    @classmethod
    @abstractmethod
    def make_attention(cls, channels: int, kernel: tuple[int, ...], layers: PlannedLayers) -> StageAttention:
        """The attention behind a stage.

        Args:
            channels: Number of channels of the stage.
            kernel: Size of its convolutions along each axis.
            layers: Kinds of layers of the plans.
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
        """The planned network with attention behind each stage.

        Raises:
            ValueError: If the network has no stages of nnU-Net's.
        """
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )

        def make(found: FoundStage, layers: PlannedLayers) -> StageAttention:
            attention = cls.make_attention(found.stage.output_channels, found.kernel, layers)
            for part in attention.modules():
                if isinstance(part, StageAttention):
                    part.view_name = f"{part.view_name} of {found.title}"
            return attention

        extend_stages(network, cls.attention_trick, make)
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log where the attention is and what it costs."""
        super().initialize()
        self.print_to_log_file(
            f"{self.attention_trick}: behind {count_of(self.network, StageAttention)}", add_timestamp=False
        )
        for line in self.attention_notes():
            self.print_to_log_file(f"{self.attention_trick}: {line}", add_timestamp=False)
        log_cost(self, AttentionTrainer, self.attention_trick)

    def attention_notes(self) -> Iterator[str]:
        """Lines for the log on what the user should know."""
        yield from ()
