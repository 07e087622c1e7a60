"""Where networks other than U-Nets show features twice: they declare it themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from nnunet_tricks.tricks.network.enhancement.selection import Enhancement


@dataclass(frozen=True)
class Place:
    """A place in a network where features can be enhanced.

    Attributes:
        name: Name of the features, for the log.
        channels: Number of channels of the features.
        put: Puts an enhancement there, and makes room in the layer behind it, whose weights are new then.
        selected_first: Whether the chosen channels stand before all channels, as in the paper's code for such networks.
    """

    name: str
    channels: int
    put: Callable[[Enhancement], object]
    selected_first: bool = True


def places_of(network: nn.Module, trick: str, ratios: int) -> Sequence[Place]:
    """The places of a network for as many ratios.

    Args:
        network: Network that says ``ife_places()``.
        trick: Name of the trick, for the message.
        ratios: Number of ratios in the name.

    Returns:
        The first of its places, in its own order.

    Raises:
        ValueError: If it has none, or fewer.
    """
    places: Sequence[Place] = network.ife_places()  # type: ignore[operator]
    kind = type(getattr(network, "body", network)).__name__
    if not places:
        raise ValueError(
            f"{trick} has no place in {kind}: it enhances nnU-Net's own U-Nets, timm encoders under nnU-Net's decoder "
            "(ResNet50UNet and others), DeepLabV3Plus and SINetV2"
        )
    if len(places) < ratios:
        names = ", ".join(place.name for place in places)
        raise ValueError(f"r names {ratios} ratios, but {kind} has {len(places)} places ({names}): name fewer")
    return places[:ratios]
