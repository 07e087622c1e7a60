r"""Residual paths: convolutions on the skip connections, so that encoder and decoder come closer.

Features of the encoder have seen few layers, and those of the decoder many. Ibtehaz and Rahman, "MultiResUNet:
rethinking the U-Net architecture for multimodal biomedical image segmentation", Neural Networks 2020, put a chain of
residual units between them. Here a unit is $x + W_3 f(W_2 * f(W_1 x))$ with norm layers before both activations f:
$W_1$ leads to a quarter of the channels, $W_2$ has the plans' kernel, and $W_3$ leads back and begins with zeros. So
the network begins as the planned one, bit for bit. ``n`` counts the units, from shallow to deep. By default there is
none at full resolution, where it costs more than all others together in 3D, and one on each other skip connection.

``wide`` is the paper's unit with all channels, $N f(f(N W * x) + N W_s x)$ with norm layers N, and ``n4x3x2x1_wide``
the paper's path. It is not the default because of its cost: one such unit at full resolution has more multiplications
than a convolution of the planned network there, and a network has four of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, nn

from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.first_weights import BeginsAsIdentity, draw_weights, zero
from nnunet_tricks.tricks.network.blocks.planned_layers import PlannedLayers, Sides, whole_numbers
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, with_parts
from nnunet_tricks.tricks.network.enhancement.decoder_trainer import DecoderTrainer

NARROWER = 4
"""How many times fewer channels a unit computes with."""


class PathUnit(BeginsAsIdentity):
    """A residual unit with few channels inside.

    Examples:
        >>> import torch
        >>> unit = PathUnit(8, PlannedLayers(nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU), 3)
        >>> unit.begin()
        >>> features = torch.randn(1, 8, 6, 5)
        >>> torch.equal(unit(features), features)
        True
    """

    def __init__(self, channels: int, layers: PlannedLayers, kernel: Sides) -> None:
        """Make the layers.

        Args:
            channels: Channels of the features.
            layers: Layers of the network.
            kernel: Size of the kernel of the middle convolution.
        """
        super().__init__()
        inner = max(1, channels // NARROWER)
        self.layers = nn.Sequential(
            layers.block(channels, inner), layers.block(inner, inner, kernel), layers.convolution(inner, channels)
        )

    def begin(self) -> None:
        """Set the weights of the last layer to zero."""
        zero(self.layers[-1])

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *spatial) -> the same shape."""
        residual: Tensor = self.layers(features)
        return residual.add_(features)  # without memory for the sum


class WidePathUnit(nn.Module):
    """The residual unit of MultiResUNet.

    Examples:
        >>> import torch
        >>> unit = WidePathUnit(8, PlannedLayers(nn.Conv2d, nn.InstanceNorm2d, nn.LeakyReLU), 3)
        >>> unit(torch.randn(1, 8, 6, 5)).shape
        torch.Size([1, 8, 6, 5])
    """

    def __init__(self, channels: int, layers: PlannedLayers, kernel: Sides) -> None:
        """Make the layers; see ``PathUnit``."""
        super().__init__()
        self.block = layers.block(channels, channels, kernel)
        self.shortcut = nn.Sequential(layers.convolution(channels, channels), layers.normalisation(channels))
        self.last = nn.Sequential(layers.nonlinearity(), layers.normalisation(channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *spatial) -> the same shape."""
        result: Tensor = self.last(self.block(features) + self.shortcut(features))
        return result


def units_of(lengths: Sequence[float], skips: int) -> tuple[int, ...]:
    """Number of units on each skip connection, from shallow to deep.

    Args:
        lengths: Numbers of the name; the last one is for all deeper skip connections.
        skips: Number of skip connections.

    Raises:
        ValueError: If there is no skip connection, there are more numbers than skip connections, a number is not whole,
            or all are 0.

    Examples:
        >>> units_of((4.0, 3.0, 2.0, 1.0), 6)
        (4, 3, 2, 1, 1, 1)
    """
    chosen = whole_numbers(lengths, name="n of ResidualPath", low=0)
    if not skips:
        raise ValueError("ResidualPath needs a network of at least 2 stages, which has a skip connection: plan more")
    if len(chosen) > skips:
        shorter = "x".join(["1"] * skips)
        raise ValueError(
            f"n of ResidualPath has numbers for {len(chosen)} skip connections, and the network has {skips}: give as "
            f"many or fewer, such as ResidualPath_n{shorter}"
        )
    if not any(chosen):
        raise ValueError("n of ResidualPath must be at least 1 for one skip connection, got only zeros")
    return chosen + chosen[-1:] * (skips - len(chosen))


def put_paths(network: Any, lengths: Sequence[float], *, wide: bool) -> EnhancedDecoder:
    """Put residual units on the skip connections of a network.

    Args:
        network: A planned network.
        lengths: Numbers of units, see ``units_of``.
        wide: Whether units are the paper's.

    Raises:
        ValueError: If the network is of another kind, or has other skip connections than the numbers say.
    """
    decoder = with_parts(network, "ResidualPath")
    encoder: Any = decoder.encoder
    layers = PlannedLayers.of(encoder)
    unit = WidePathUnit if wide else PathUnit
    for skip, count in enumerate(units_of(lengths, len(encoder.output_channels) - 1)):
        if count:
            channels, kernel = encoder.output_channels[skip], encoder.kernel_sizes[skip]
            path = nn.Sequential(*(unit(channels, layers, kernel) for _ in range(count)))
            draw_weights(path, network)
            decoder.paths[str(skip)] = path
    return decoder


class nnUNetTrainerResidualPath(DecoderTrainer):
    """nnU-Net with residual units on the skip connections."""

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
        """The network with paths."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        settings = cls.parameters["ResidualPath"]
        put_paths(network, settings.n, wide=settings.wide)
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log what it costs."""
        super().initialize()
        log_cost(self, nnUNetTrainerResidualPath, "ResidualPath")
