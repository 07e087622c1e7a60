"""Networks whose skip connections carry nothing, so that restoration cannot copy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def without_skips(network: nn.Module) -> nn.Module:
    """A network whose decoder sees the deepest features only; its tensors keep their names and shapes.

    Zeros stand where skip connections end. So the weights for them are neither used nor trained.

    Args:
        network: A network with nnU-Net's decoder.
    """
    decoder: Any = network.decoder
    decoder.register_forward_pre_hook(_emptied)
    return network


def _emptied(decoder: nn.Module, arguments: tuple[list[Tensor]]) -> tuple[list[Tensor]]:
    *skips, deepest = arguments[0]
    return ([*(torch.zeros_like(skip) for skip in skips), deepest],)
