r"""Shape stream: nnU-Net's network with SAU-Net's second path that learns where edges are, and shows it.

The network is in ``gated_shape.py``. Its edge map is trained beside the segmentation:
$L + w \cdot \mathrm{BCE}(e, \hat e)$ with the edges $\hat e$ of the augmented truth (``tricks/targets/edges.py``).
Edges are few, so a voxel on one weighs as the share of the others, and the reverse (Xie and Tu, "Holistically-nested
edge detection", ICCV 2015, eq. 2, as in Gated-SCNN). Voxels next to unlabelled ones do not count: nobody knows there.
At w = 0 the map is learned from the segmentation alone.

``nnunet-tricks show-attention`` draws the map and the gates of a trained model over an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.gated_shape import ShapeStream
from nnunet_tricks.tricks.network.blocks.planned_network import PlannedNetworkTrainer
from nnunet_tricks.tricks.network.enhancement.stages import axes_of
from nnunet_tricks.tricks.targets.edges import edges, near


def edge_loss(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    r"""Balanced cross-entropy: an edge weighs $N_- / N$, any other voxel $N_+ / N$, for N known voxels of the batch.

    Args:
        logits: (B, *spatial).
        truth: (B, *spatial), whether there is an edge.
        known: (B, *spatial), whether that is known.

    Returns:
        The mean over the known voxels; 0 if there are none, or none of one kind.

    Examples:
        >>> truth = torch.tensor([[True, False, False, False]])
        >>> known = torch.ones_like(truth)
        >>> round(float(edge_loss(torch.zeros(1, 4), truth, known)), 4)  # ln 2 * (3/4 + 3 * 1/4) / 4
        0.2599
    """
    count = known.sum().clamp(min=1)
    share = (truth & known).sum() / count
    weights = torch.where(truth, 1 - share, share) * known
    voxels = F.binary_cross_entropy_with_logits(logits.float(), truth.float(), reduction="none")
    return (weights * voxels).sum() / count


class WithEdges(nn.Module):
    """The loss of a training step, and after it that of the edge map.

    Attributes:
        loss: Loss without the edges.
        stream: Shape stream, which has just seen the batch.
        weight: Weight of the edges.
        axes: Spatial axes along which there are edges.
        regions: Whether the truth has a channel for each region.
        ignore: Ignore label, ``None`` if there is none.
    """

    def __init__(
        self,
        loss: Any,
        stream: ShapeStream,
        *,
        weight: float,
        axes: Sequence[int],
        regions: bool,
        ignore: int | None,
    ) -> None:
        """Take both."""
        super().__init__()
        self.loss = loss
        # In a list, since it is a part of the network and not of the loss.
        self._stream = [stream]
        self.weight = weight
        self.axes = axes
        self.regions = regions
        self.ignore = ignore

    def forward(self, output: Any, target: Any) -> Tensor:
        """Outputs and targets as nnU-Net has them, with or without levels."""
        loss: Tensor = self.loss(output, target)
        logits = self._stream[0].edge_logits
        if logits is None or not self.weight:
            return loss
        full = target[0] if isinstance(target, (list, tuple)) else target
        truth, unknown = self._parts(full)
        flags = edges(truth, self.axes)
        known = torch.ones_like(flags) if unknown is None else ~near(unknown, self.axes)
        return loss + self.weight * edge_loss(logits, flags, known)

    def _parts(self, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Labels or regions, and where nobody annotated."""
        if self.ignore is None:
            return target, None
        if self.regions:
            return target[:, :-1], target[:, -1].bool()
        return target, target[:, 0] == self.ignore


class ShapedNetwork(nn.Module):
    """A U-Net of nnU-Net's with a shape stream between encoder and decoder."""

    encoder: Any
    decoder: Any
    shape_stream: ShapeStream

    def forward(self, image: Tensor) -> Any:
        """(B, C, *spatial) -> logits, as without it."""
        return self.decoder(self.shape_stream(self.encoder(image)))


class ShapedPlainConvUNet(ShapedNetwork, PlainConvUNet):
    """nnU-Net's plain network with a shape stream."""


class ShapedResidualEncoderUNet(ShapedNetwork, ResidualEncoderUNet):
    """nnU-Net's residual network with a shape stream."""


UNKNOWN_EDGES = {
    "MixUp": "MixUp blends two patches, whose edges lie in different places",
    "PartialLabels": "PartialLabels trains on cases in which some classes, and so their edges, are not annotated",
}
"""Tricks beside which the edges of the truth are not those of the image, and why."""

_SHAPED = {PlainConvUNet: ShapedPlainConvUNet, ResidualEncoderUNet: ShapedResidualEncoderUNet}


class nnUNetTrainerShapeStream(PlannedNetworkTrainer):
    """nnU-Net whose network learns edges in a second path.

    Attributes:
        loss: Loss of the segmentation; with the edges' while a step is taken.
    """

    loss: Any

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse tricks beside which nobody knows the edges, or that leave out stages which gate the stream."""
        pruned: Any = cls.parameters.get("DenseSkips")
        if pruned is not None and pruned.prune:
            raise ValueError(
                "prune of DenseSkips leaves out the deepest stages when it predicts, and they gate the ShapeStream: "
                "take prune or ShapeStream out of the name"
            )
        names = {trick.info.name for trick in cls.trainer_name.switched}
        for name, reason in UNKNOWN_EDGES.items():
            if name in names and cls.parameters["ShapeStream"].edge:
                raise ValueError(f"{reason}: take {name} or ShapeStream out of the name, or set edge0 of ShapeStream")
        super().check_planned(planned)

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
        """The planned network with a shape stream.

        Raises:
            ValueError: If the network is none of nnU-Net's U-Nets, or has a single stage.
        """
        network: Any = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        if type(network) not in _SHAPED:
            raise ValueError(
                "ShapeStream stands between encoder and decoder of nnU-Net's own U-Nets (PlainConvUNet, "
                f"ResidualEncoderUNet); the plans or another trick name {type(network).__name__}"
            )
        stream = ShapeStream(network.encoder)
        stream.apply(network.initialize)
        stream.begin_at_zero()
        # The same network with another forward: names of weights, encoder and decoder stay for other tricks.
        network.__class__ = _SHAPED[type(network)]
        network.shape_stream = stream
        built: nn.Module = network
        return built

    def initialize(self) -> None:
        """Build everything, and write into the log what the stream is."""
        super().initialize()
        for line in self.shape_notes():
            self.print_to_log_file(f"ShapeStream: {line}", add_timestamp=False)
        log_cost(self, nnUNetTrainerShapeStream, "ShapeStream")

    def shape_notes(self) -> Iterator[str]:
        """Lines for the log: which stages gate the stream."""
        stages = ", ".join(map(str, self._shape_stream().stages))
        yield f"gated by the encoder stages {stages}"
        if not self.parameters["ShapeStream"].edge:
            yield "edge is 0: nothing tells the map what an edge is"

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step, with the loss of the edges."""
        stream, plain = self._shape_stream(), self.loss
        encoder = self._bare_network().encoder
        self.loss = WithEdges(
            plain,
            stream,
            weight=self.parameters["ShapeStream"].edge,
            axes=axes_of(encoder.kernel_sizes[0], convert_conv_op_to_dim(encoder.conv_op)),
            regions=bool(self.label_manager.has_regions),
            ignore=self.label_manager.ignore_label,
        )
        try:
            return super().train_step(batch)
        finally:
            self.loss = plain
            stream.edge_logits = None

    def _shape_stream(self) -> ShapeStream:
        stream: ShapeStream = self._bare_network().shape_stream
        return stream

    def _bare_network(self) -> Any:
        network = self.network
        if isinstance(network, DistributedDataParallel):
            network = network.module
        return network._orig_mod if isinstance(network, OptimizedModule) else network
