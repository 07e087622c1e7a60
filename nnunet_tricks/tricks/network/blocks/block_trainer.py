"""The trainer that tricks with other blocks build on."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers
from nnunet_tricks.tricks.network.blocks.planned_network import PlannedNetworkTrainer
from nnunet_tricks.tricks.network.blocks.stages import (
    BlockStage,
    UnitShape,
    count_of,
    replace_stages,
)


class BlockTrainer(PlannedNetworkTrainer):
    """A trainer whose stages are made of other blocks; depth, channels, strides and kernels stay planned.

    Weights of ``-pretrained_weights`` must come from a network with the same blocks.

    Attributes:
        block_trick: Name of the trick in the catalogue.
        replaces_residual: Whether stages of residual encoders are replaced, too.
        fewest_channels: Number of channels that a stage needs for such blocks.
    """

    block_trick: ClassVar[str]
    replaces_residual: ClassVar[bool] = True
    fewest_channels: ClassVar[int] = 1

    @classmethod
    @abstractmethod
    def make_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        """A unit, which stands in place of up to two convolutions or of a residual block.

        Args:
            shape: What goes in and comes out.
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
        """The planned network with other blocks.

        Raises:
            ValueError: If the network has no stages of nnU-Net's, or too few channels.
        """
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        replace_stages(network, cls.block_trick, cls._checked_unit, residual=cls.replaces_residual)
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log what was replaced and what that costs."""
        super().initialize()
        stays = "" if self.replaces_residual else ", stages of residual blocks stay"
        self.print_to_log_file(
            f"{self.block_trick}: blocks of {count_of(self.network, BlockStage)}{stays}", add_timestamp=False
        )
        log_cost(self, BlockTrainer, self.block_trick)

    @classmethod
    def _checked_unit(cls, shape: UnitShape, layers: PlannedLayers) -> nn.Module:
        if shape.out_channels < cls.fewest_channels:
            raise ValueError(
                f"{cls.block_trick} divides the channels of each stage among {cls.fewest_channels} parts, and a stage "
                f"of the plans has {shape.out_channels}: plan more features_per_stage"
            )
        return cls.make_unit(shape, layers)
