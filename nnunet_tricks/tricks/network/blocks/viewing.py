"""What a block did with an image, for pictures: its attention map, or its weights of channels.

A module can be looked at if it has a name for people in ``view_name``, and ``view``, which takes what ``forward`` takes
and computes the map or the weights again. Nothing is kept in the module, so training and compilation do not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Viewable(Protocol):
    """A module with an attention map or weights of channels.

    Attributes:
        view_name: Name for people, such as ``attention gate of skip connection 1``.

    Examples:
        >>> class Gate(nn.Module):
        ...     view_name = "gate of skip connection 0"
        ...
        ...     def view(self, features):
        ...         return features.mean(1).sigmoid()
        ...
        ...     def forward(self, features):
        ...         return features * self.view(features).unsqueeze(1)
        >>> isinstance(Gate(), Viewable), isinstance(nn.ReLU(), Viewable)
        (True, False)
    """

    view_name: str

    def view(self, *inputs: Any) -> Tensor:
        """The map (B, *spatial) or the weights of channels (B, C), from the inputs of ``forward``."""


@dataclass(frozen=True)
class AttentionView:
    """What a module made of one image.

    Attributes:
        name: Name of the module for people.
        values: Map (*spatial) or weights of channels (C).
    """

    name: str
    values: Tensor

    @property
    def is_map(self) -> bool:
        """Whether it is a map and not weights of channels."""
        return self.values.ndim > 1


@torch.inference_mode()
def views_of(network: nn.Module, image: Tensor) -> list[AttentionView]:
    """What the viewable modules of a network make of an image, in the order in which the network calls them.

    Args:
        network: The network; left in evaluation mode.
        image: (channels, *spatial).

    Returns:
        A view for each call of a viewable module.
    """
    seen: list[AttentionView] = []
    viewing = False

    def remember(module: Any, inputs: tuple[Any, ...]) -> None:
        nonlocal viewing
        if viewing:  # a part of a module that is looked at right now
            return
        viewing = True
        seen.append(AttentionView(module.view_name, module.view(*inputs)[0].float().cpu()))
        viewing = False

    handles = [m.register_forward_pre_hook(remember) for m in network.modules() if isinstance(m, Viewable)]
    try:
        network.eval()(image.unsqueeze(0))
    finally:
        for handle in handles:
            handle.remove()
    return seen
