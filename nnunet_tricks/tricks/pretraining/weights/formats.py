"""What a file of weights seems to hold, for messages to whoever has the wrong one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from nnunet_tricks.tricks.pretraining.weights.reading import tables
from nnunet_tricks.utilities.wording import some

_RESNETS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
"""Architectures by their number of blocks in each layer, and whether these are bottlenecks."""

_VITS = {(192, 12): "vit_tiny", (384, 12): "vit_small", (768, 12): "vit_base", (1024, 24): "vit_large"}
"""Architectures by width and number of blocks."""

_KINDS: tuple[tuple[str, str], ...] = (
    (r"network_weights.*encoder\.(stages|stem)\.", "a network of nnU-Net, for --for nnunet"),
    (r"image_encoder\.blocks\.", "SAM or MedSAM, for --for samvit_base_patch16 or its like"),
    (r"blocks\.\d+\.ls1\.gamma", "a DINOv2 transformer, for --for vit_base_patch14_dinov2 or its like"),
    (r"down_tr64\.ops\.", "Models Genesis, a 3D U-Net"),
    (r"Transformer/encoderblock_0/", "a vision transformer as Google publishes it"),
    (r"_conv_stem\.weight", "an EfficientNet as Google's code names it, for --for tf_efficientnet_lite0 or its like"),
    (r"conv_stem\.weight", "an EfficientNet or MobileNet of timm"),
    (r"res_conv\d*\.|downsample_layers\.|stages\.\d+\.blocks\.", "a ConvNeXt or a network like it"),
)
"""Patterns of names, each with what has them, the more special first."""


def described(content: Mapping[str, Any]) -> str:
    """The likely format of a file in words.

    Examples:
        >>> import torch
        >>> described({"model": {"down_tr64.ops.0.conv1.weight": torch.zeros(32, 1, 3, 3, 3)}})
        'the file looks like Models Genesis, a 3D U-Net'
    """
    every = [(path, table) for path, table in tables(content)]
    if not every:
        return "the file holds no weights at all"
    path, table = max(every, key=lambda pair: len(pair[1]))
    name = _residual(table) or _transformer(table) or _by_names([f"{path}.{name}" for name in table])
    if name:
        return f"the file looks like {name}"
    return f"the file's format is not known here, its first names are {some(list(table))}"


def _by_names(names: list[str]) -> str:
    return next((kind for pattern, kind in _KINDS if any(re.search(pattern, name) for name in names)), "")


def resnet(names: Iterable[str]) -> str:
    """The ResNet that has parameters of these names, as torchvision and others call them; empty if it is none of them.

    Examples:
        >>> import timm
        >>> resnet(timm.create_model("resnet18").state_dict())
        'resnet18'
    """
    return _RESNETS.get(_depths(names), "")


def _depths(names: Iterable[str]) -> tuple[tuple[int, ...], bool]:
    """Number of blocks in each of a ResNet's layers, under any prefix, and whether they are bottlenecks."""
    table = list(names)
    blocks = {(int(at[1]), int(at[2])) for name in table if (at := re.search(r"\blayer([1-4])\.(\d+)\.conv1\.", name))}
    depths = tuple(len({number for layer, number in blocks if layer == stage}) for stage in (1, 2, 3, 4))
    return depths, any(re.search(r"layer1\.0\.conv3\.", name) for name in table)


def _residual(table: Mapping[str, Tensor]) -> str:
    """What a ResNet is called, in words."""
    depths, _ = _depths(table)
    if not all(depths):
        return ""
    likely = resnet(table)
    return f"{likely}, for --for {likely} or its like" if likely else f"a ResNet with {depths} blocks"


def _transformer(table: Mapping[str, Tensor]) -> str:
    """The plain vision transformer whose blocks these are, under any prefix."""
    patches = next((t for name, t in table.items() if name.endswith("patch_embed.proj.weight")), None)
    special = any(re.search(r"image_encoder\.|\.ls1\.gamma|\.mlp\.lin1\.", name) for name in table)
    if patches is None or special:
        return ""
    depth = len({at[1] for name in table if (at := re.search(r"(?<!decoder_)blocks\.(\d+)\.", name))})
    likely = _VITS.get((len(patches), depth))
    size = patches.shape[-1]
    if not likely:
        return f"a transformer of width {len(patches)} with {depth} blocks"
    return f"a vision transformer, for --for {likely}_patch{size}_224"
