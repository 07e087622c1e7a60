"""First weights of what is added to a network."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import nn


class BeginsAsIdentity(nn.Module):
    """A module that adds something to its input, and adds zeros when the training begins."""

    @abstractmethod
    def begin(self) -> None:
        """Set the weights of the last layer to zero."""


def draw_weights(part: nn.Module, network: Any) -> None:
    """Draw first weights as nnU-Net draws those of the network; modules that begin as identity do so.

    Args:
        part: What was added.
        network: The network that it is for.
    """
    part.apply(network.initialize)
    for module in part.modules():
        if isinstance(module, BeginsAsIdentity):
            module.begin()


def zero(layer: Any) -> None:
    """Set all weights of a layer to zero."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
