"""Weights for images with other channels or another size than those that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.weights.encoder import PATCHES, POSITIONS, Encoder


def adapted(weights: Mapping[str, Tensor], encoder: Encoder) -> dict[str, Tensor]:
    """Weights in the shapes of an encoder.

    Args:
        weights: Tensors by the encoder's names, as ``matching.match`` gives them.
        encoder: The encoder that they are for.

    Returns:
        The same names. Only the first convolution and the positions can differ from what came.
    """
    return {name: _adapted(name, tensor, encoder) for name, tensor in weights.items()}


def _adapted(name: str, tensor: Tensor, encoder: Encoder) -> Tensor:
    shape = encoder.tensors[name].shape
    if tensor.shape == shape:
        return tensor
    if name.rpartition(".")[2] == POSITIONS:
        return for_positions(tensor, encoder)
    if name.endswith(PATCHES) and tensor.shape[2:] != shape[2:]:
        from timm.layers.patch_embed import resample_patch_embed

        tensor = resample_patch_embed(tensor, [*shape[2:]])
    return for_channels(tensor, shape[1])


def for_channels(weight: Tensor, channels: int) -> Tensor:
    """The first convolution for images of another number of channels.

    One channel gets the sum over the channels, more get repetitions that are scaled so that the layer answers a grey
    image as before. For three channels this is ``timm.models.adapt_input_conv``, for one channel that is repeated it
    is what nnU-Net does.

    Args:
        weight: (out, channels of the weights, *kernel).
        channels: Number of channels of the images.

    Returns:
        (out, channels, *kernel).

    Examples:
        >>> for_channels(torch.ones(1, 3, 1, 1), 1).flatten(), for_channels(torch.ones(1, 3, 1, 1), 4).flatten()
        (tensor([3.]), tensor([0.7500, 0.7500, 0.7500, 0.7500]))
    """
    before = weight.shape[1]
    if channels == 1:
        return weight.float().sum(dim=1, keepdim=True).to(weight.dtype)
    if channels == before:
        return weight
    repeated = weight.repeat(1, ceil(channels / before), *(1 for _ in weight.shape[2:]))[:, :channels]
    return repeated * (before / channels)


def for_positions(positions: Tensor, encoder: Encoder) -> Tensor:
    """Positions of a transformer, resampled to the grid of another image size.

    Args:
        positions: (1, tokens, width), or (1, height, width of the grid, width) as SAM has them.
        encoder: The encoder that they are for.
    """
    from timm.layers.pos_embed import resample_abs_pos_embed, resample_abs_pos_embed_nhwc

    # features_only puts the transformer one level down.
    module: Any = getattr(encoder.module, "model", encoder.module)
    mine = next(tensor for name, tensor in encoder.tensors.items() if name.rpartition(".")[2] == POSITIONS)
    if positions.ndim == 4:
        return resample_abs_pos_embed_nhwc(positions, [*mine.shape[1:3]])
    tokens = 0 if getattr(module, "no_embed_class", False) else getattr(module, "num_prefix_tokens", 1)
    return resample_abs_pos_embed(positions, new_size=[*module.patch_embed.grid_size], num_prefix_tokens=tokens)


def put(weights: Mapping[str, Tensor], encoder: Encoder) -> None:
    """Copy weights into an encoder, in place, adapted to its shapes; tensors that are not among them stay.

    Args:
        weights: Tensors by the encoder's names.
        encoder: The encoder that gets them.
    """
    with torch.no_grad():
        for name, tensor in adapted(weights, encoder).items():
            encoder.tensors[name].copy_(tensor)
