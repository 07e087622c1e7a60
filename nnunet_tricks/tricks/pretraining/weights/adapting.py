"""Weights for images with other channels or another size than those that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isqrt
from typing import Any

import torch
from torch import Tensor

from nnunet_tricks.tricks.pretraining.weights.encoder import PATCHES, POSITIONS, Encoder


def adapted(weights: Mapping[str, Tensor], encoder: Encoder, *, same_patches: bool = False) -> dict[str, Tensor]:
    """Weights in the shapes of an encoder.

    Args:
        weights: Tensors by the encoder's names, as ``matching.match`` gives them.
        encoder: The encoder that they are for.
        same_patches: Whether as many positions are those of the same patch. Otherwise they are those of a square.

    Returns:
        The same names. Only the first convolution and the positions can differ from what came.
    """
    return {name: _adapted(name, tensor, encoder, same_patches) for name, tensor in weights.items()}


def _adapted(name: str, tensor: Tensor, encoder: Encoder, same_patches: bool) -> Tensor:
    shape = encoder.tensors[name].shape
    positions = name.rpartition(".")[2] == POSITIONS
    if tensor.shape == shape and (same_patches or not positions):
        return tensor
    if positions:
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
        positions: (1, tokens, width) of a square grid, or (1, height, width of the grid, width) as SAM has them.
        encoder: The encoder that they are for.

    Raises:
        ValueError: If they are not those of a square.
    """
    from timm.layers.pos_embed import resample_abs_pos_embed, resample_abs_pos_embed_nhwc

    # features_only puts the transformer one level down.
    module: Any = getattr(encoder.module, "model", encoder.module)
    mine = next(tensor for name, tensor in encoder.tensors.items() if name.rpartition(".")[2] == POSITIONS)
    if positions.ndim == 4:
        return resample_abs_pos_embed_nhwc(positions, [*mine.shape[1:3]])
    tokens = prefix_tokens(encoder)
    require_square(positions.shape[1] - tokens)
    return resample_abs_pos_embed(positions, new_size=[*module.patch_embed.grid_size], num_prefix_tokens=tokens)


def prefix_tokens(encoder: Encoder) -> int:
    """How many of a transformer's positions stand for no piece of the image, such as that of the class."""
    module = getattr(encoder.module, "model", encoder.module)
    return 0 if getattr(module, "no_embed_class", False) else int(getattr(module, "num_prefix_tokens", 1))


def require_square(positions: int) -> None:
    """Refuse a number of positions that is none of a square, as nothing says then which grid it is.

    Raises:
        ValueError: With what can be done.
    """
    if isqrt(positions) ** 2 != positions:
        raise ValueError(
            f"these weights have {positions} positions, which are not those of a square, so they cannot be resampled: "
            "give the checkpoint itself to -pretrained_weights, with plans of the same patch size"
        )


def put(weights: Mapping[str, Tensor], encoder: Encoder, *, same_patches: bool = False) -> None:
    """Copy weights into an encoder, in place, adapted to its shapes; tensors that are not among them stay.

    Args:
        weights: Tensors by the encoder's names.
        encoder: The encoder that gets them.
        same_patches: As in ``adapted``.
    """
    with torch.no_grad():
        for name, tensor in adapted(weights, encoder, same_patches=same_patches).items():
            encoder.tensors[name].copy_(tensor)
