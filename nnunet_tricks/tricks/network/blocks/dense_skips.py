r"""Dense skip connections: U-Net++ over the planned encoder.

Between the features $X^{i,0}$ of the encoder and the decoder are nodes $X^{i,j}$, each made of all nodes of its stage
before it and of one of the stage below (``nested``). Zhou et al., "UNet++: a nested U-Net architecture for medical
image segmentation", DLMIA 2018. Its deep supervision compares the decoder's output and those of all nodes at full
resolution with the truth at full resolution, and takes the mean of the losses. ``single`` has one output and no deep
supervision.

``prune`` leaves out that many of the deepest stages when the trained network predicts: its output is then that of node
$X^{0,L-prune}$ of L. The training is the same whatever ``prune`` is, so a checkpoint of the same training under a name
with another ``prune`` loads strictly. Only ``MeanTeacher`` trains otherwise: its teacher predicts. ``prune`` needs deep
supervision, which trains these outputs.

nnU-Net's own decoder is the last node of each stage, with wider first convolutions. With weights of zero for what is
wider, the network computes what the planned one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.first_weights import draw_weights
from nnunet_tricks.tricks.network.blocks.nested import NestedDecoder, StagesUpTo
from nnunet_tricks.tricks.network.enhancement.decoder import with_parts
from nnunet_tricks.tricks.network.enhancement.decoder_trainer import DecoderTrainer
from nnunet_tricks.tricks.supervision.full_size import FullSizeSupervision
from nnunet_tricks.tricks.supervision.levels import equal_weights


def put_nodes(network: Any, *, single: bool, prune: int) -> NestedDecoder:
    """Put nested nodes between the encoder and the decoder of a network.

    Args:
        network: A planned network.
        single: Whether there is one output only.
        prune: Number of the deepest stages that predictions leave out.

    Raises:
        ValueError: If the network is of another kind, has too few stages, or cannot be pruned.
    """
    planned = with_parts(network, "DenseSkips")
    depth = len(planned.stages)
    if depth < 2:
        raise ValueError(
            f"DenseSkips needs a network of at least 3 stages, which has nodes between encoder and decoder, got "
            f"{depth + 1} stages: plan more"
        )
    if prune > depth - 1:
        raise ValueError(
            f"prune of DenseSkips must be at most {depth - 1} in a network of {depth + 1} stages, got {prune}"
        )
    decoder = NestedDecoder(planned, single=single, prune=prune)
    network.decoder = decoder
    for layer in decoder.new_layers():
        draw_weights(layer, network)
    if hasattr(network, "level_strides"):
        network.level_strides = [1] * depth
    if prune:
        encoder: Any = network.encoder
        if not isinstance(encoder, (PlainConvEncoder, ResidualEncoder)):
            raise ValueError(
                "prune of DenseSkips is for nnU-Net's own encoders, and not for those of timm: leave it out"
            )
        encoder.stages = StagesUpTo(encoder.stages, decoder)
    return decoder


class nnUNetTrainerDenseSkips(DecoderTrainer):
    """nnU-Net with the skip connections and the deep supervision of U-Net++."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read from the name whether there is deep supervision."""
        super().__init_subclass__(**kwargs)
        if "DenseSkips" in cls.parameters:
            cls.has_side_outputs = not cls.parameters["DenseSkips"].single

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
        """The network with nested nodes."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        settings = cls.parameters["DenseSkips"]
        put_nodes(network, single=settings.single, prune=settings.prune)
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log what it is and costs."""
        super().initialize()
        for line in self._nodes():
            self.print_to_log_file(f"DenseSkips: {line}", add_timestamp=False)
        log_cost(self, nnUNetTrainerDenseSkips, "DenseSkips")

    def _nodes(self) -> Iterator[str]:
        stages = len(cast(Any, self.configuration_manager.network_arch_init_kwargs)["strides"])
        prune = self.parameters["DenseSkips"].prune
        if prune:
            yield f"predictions leave out {prune} of {stages} stages and all nodes behind them"

    def _get_deep_supervision_scales(self) -> list[list[float]] | None:
        """Sizes of the outputs in parts of a patch: all have its full size."""
        scales = super()._get_deep_supervision_scales()
        return None if scales is None else [[1.0] * len(scale) for scale in scales]

    def _build_loss(self) -> nn.Module:
        built = super()._build_loss()
        if not isinstance(built, DeepSupervisionWrapper):
            return built
        weights = equal_weights(built.weight_factors, len(built.weight_factors))
        return FullSizeSupervision(built.loss, weights)
