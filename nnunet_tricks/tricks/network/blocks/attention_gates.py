r"""Attention gates: the decoder says which voxels of a skip connection it needs.

$\alpha = \sigma(\psi^T f(W_x^T x + W_g^T g + b_g) + b_\psi)$, and the decoder gets $\alpha x$ in place of $x$, with x
the features of the encoder, g those of the decoder in the stage below, f the plans' activation and one coefficient
$\alpha$ from 0 to 1 for each voxel. Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL
2018, eq. 1 and 2. As there, coefficients are computed on the coarse grid of g and enlarged by linear interpolation, and
the skip connection at full resolution has no gate. ``fine`` computes them on the grid of x, from upsampled g and with
norm layers, as MONAI and many others do. ``full`` has a gate at full resolution too.

Identities: with $\psi = 0$ and a large $b_\psi$ all coefficients are 1, and the network is the planned one. A ``fine``
gate with batch norm and ReLU is MONAI's ``AttentionBlock``.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812, its standard name
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.first_weights import draw_weights
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers, Sides
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, with_parts
from nnunet_tricks.tricks.network.enhancement.decoder_trainer import DecoderTrainer


class AttentionGate(nn.Module):
    """The coefficients of one skip connection.

    With c = channels // 2 it has parameters of a convolution from x to c channels without bias, one from g to c
    channels with bias, and c + 1 for one coefficient; three norm layers more where it is ``fine``.

    Attributes:
        view_name: Name for people.
        fine: Whether coefficients are computed on the grid of x.

    Examples:
        >>> import torch
        >>> layers = PlannedLayers(nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU)
        >>> gate = AttentionGate(8, 16, layers, stride=2)
        >>> gate(torch.randn(1, 8, 12, 10), torch.randn(1, 16, 6, 5), torch.randn(1, 8, 12, 10)).shape
        torch.Size([1, 1, 12, 10])
    """

    def __init__(
        self,
        channels: int,
        signal_channels: int,
        layers: PlannedLayers,
        *,
        stride: Sides = 2,
        fine: bool = False,
        skip: int = 0,
    ) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features x.
            signal_channels: Channels of the decoder's features g.
            layers: Layers of the network.
            stride: Step from the grid of x to that of g.
            fine: Whether coefficients are computed on the grid of x.
            skip: Number of the skip connection, for ``view_name``.
        """
        super().__init__()
        self.view_name = f"attention gate of skip connection {skip}"
        self.fine = fine
        self.mode = "bilinear" if layers.dimensions == 2 else "trilinear"
        inner = max(1, channels // 2)
        step = 1 if fine else stride
        # Between two norm layers a bias changes nothing, and of two in a sum one is enough.
        theta = layers.convolution(channels, inner, step, stride=step, padded=False, bias=fine)
        phi = layers.convolution(signal_channels, inner, bias=True)
        psi = layers.convolution(inner, 1, bias=True)
        self.theta = nn.Sequential(theta, layers.normalisation(inner)) if fine else theta
        self.phi = nn.Sequential(phi, layers.normalisation(inner)) if fine else phi
        self.psi = nn.Sequential(psi, layers.normalisation(1)) if fine else psi
        self.activation = layers.nonlinearity()

    def forward(self, features: Tensor, below: Tensor, upsampled: Tensor) -> Tensor:
        """The coefficients.

        Args:
            features: x, (B, C, *spatial).
            below: Decoder's features of the stage below, (B, C', *coarse).
            upsampled: The same upsampled by the decoder, (B, C, *spatial).

        Returns:
            (B, 1, *spatial), from 0 to 1.
        """
        both = self.theta(features) + self.phi(upsampled if self.fine else below)
        coefficients: Tensor = self.psi(self.activation(both)).sigmoid()
        if coefficients.shape == (len(features), 1, *features.shape[2:]):
            return coefficients
        return F.interpolate(coefficients, size=features.shape[2:], mode=self.mode, align_corners=False)

    def view(self, features: Tensor, below: Tensor, upsampled: Tensor) -> Tensor:
        """The coefficients as a map (B, *spatial)."""
        return self.forward(features, below, upsampled).squeeze(1)  # not by a call, whose hooks may have called this


def put_gates(network: Any, *, fine: bool, full: bool) -> EnhancedDecoder:
    """Put gates on the skip connections of a network.

    Args:
        network: A planned network.
        fine: Whether coefficients are computed on the grid of the features.
        full: Whether the skip connection at full resolution has a gate, too.

    Raises:
        ValueError: If the network is of another kind, or has no skip connection to gate.
    """
    decoder = with_parts(network, "AttentionGates")
    encoder: Any = decoder.encoder
    channels = encoder.output_channels
    gated = range(0 if full else 1, len(channels) - 1)
    if not gated:
        stages = f"{len(channels)} stage{'s' * (len(channels) > 1)}"
        remedy = "use AttentionGates_full, or plan more stages" if len(channels) > 1 else "plan more stages"
        raise ValueError(
            f"AttentionGates gates skip connections{'' if full else ' below full resolution'}, and a network of "
            f"{stages} has none: {remedy}"
        )
    layers = PlannedLayers.of(encoder)
    for skip in gated:
        gate = AttentionGate(
            channels[skip],
            channels[skip] if fine else channels[skip + 1],
            layers,
            stride=encoder.strides[skip + 1],
            fine=fine,
            skip=skip,
        )
        draw_weights(gate, network)
        decoder.gates[str(skip)] = gate
    return decoder


class nnUNetTrainerAttentionGates(DecoderTrainer):
    """nnU-Net whose decoder gates the skip connections."""

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
        """The network with gates."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        settings = cls.parameters["AttentionGates"]
        put_gates(network, fine=settings.grid == "fine", full=settings.full)
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log what it costs."""
        super().initialize()
        log_cost(self, nnUNetTrainerAttentionGates, "AttentionGates")
