"""Files of weights, whoever wrote them, read as data: nothing that a file may hold is ever run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nnunet_tricks.nnunet import checkpoint

ADVICE = (
    "if you trust whoever made it, write its weights alone to a new file: torch.save({name: value for name, value in "
    "torch.load(OLD, weights_only=False)['state_dict'].items()}, NEW), with the key under which they are in place of "
    "'state_dict'"
)


def read(file: Path) -> dict[str, Any]:
    """The content of a file of weights, on the CPU.

    Args:
        file: A file that torch wrote, ``.safetensors``, or ``.npz`` as Google publishes its transformers.

    Returns:
        Tensors by name, possibly below other keys.

    Raises:
        ValueError: If there is no such file, or it is damaged, of another kind, or holds code.
    """
    if not file.is_file():
        raise ValueError(f"{file} is not there: give the path of a file of weights")
    if not file.stat().st_size:
        raise ValueError(f"{file} is empty: get it anew")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    if file.suffix == ".npz":
        return _read_arrays(file)
    # Training scripts store their arguments beside the weights; a Namespace holds them and does nothing.
    return checkpoint.read(file, advice=ADVICE, harmless=(argparse.Namespace,))


def _read_safetensors(file: Path) -> dict[str, Any]:
    try:
        return dict(load_file(file))
    except SafetensorError as error:
        raise ValueError(f"{file} cannot be read, it may be damaged or no safetensors file: {error}") from error


def _read_arrays(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (BadZipFile, EOFError, OSError, TypeError, ValueError) as error:
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{file} holds more than numbers, so opening it would run code that came with it: ask whoever made it "
                "for a file of plain arrays"
            ) from error
        raise ValueError(f"{file} cannot be read, it may be damaged or no .npz file: {error}") from error


def tables(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every table of tensors in nested dictionaries, with the keys that lead to it.

    Args:
        content: Content of a file.
        path: Keys that lead to ``content``.

    Examples:
        >>> content = {"epoch": 3, "state_dict": {"conv.weight": torch.zeros(1)}, "optimizer": {"state": {}}}
        >>> [(path, list(table)) for path, table in tables(content)]
        [('state_dict', ['conv.weight'])]
    """
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield path, tensors
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from tables(value, f"{path}.{name}" if path else str(name))
