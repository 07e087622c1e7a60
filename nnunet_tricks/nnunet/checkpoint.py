"""Opening nnU-Net's checkpoints without running what their author may have put into them.

A checkpoint is a pickle, and a pickle can call any function. Those of nnU-Net hold tensors, numbers, words and
settings, and scalars of NumPy in the log: torch opens them with ``weights_only=True`` and a short list of what else is
allowed. nnU-Net itself does not: its own commands open every file.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch

TRUST = "if you trust whoever made it, say --trust"
"""What to do with a file that holds more, where the command has the flag."""

_DAMAGED = (
    *(RuntimeError, OSError, EOFError, ImportError, LookupError, TypeError, ValueError, AttributeError),
    pickle.UnpicklingError,
)
"""What readers of pickles raise where the bytes are anything else."""


def read(file: Path, *, trust: bool = False, advice: str = TRUST, harmless: Sequence[type] = ()) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Args:
        file: File that torch wrote.
        trust: Whether the file may run code while it is opened, as in nnU-Net's own commands.
        advice: Words for what to do if it would have to.
        harmless: Classes that it may hold beside nnU-Net's, which only carry values.

    Raises:
        ValueError: If it is no checkpoint, is damaged, or holds more than data and ``trust`` is not given.
    """
    try:
        content = _read_trusted(file) if trust else _read_data(file, harmless)
    except _DAMAGED as error:
        unknown = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and not trust and (unknown or is_zipfile(file)):
            what = f" ({unknown[1]})" if unknown else ""
            raise ValueError(
                f"{file} holds more than weights, numbers and settings{what}, so opening it would run code that came "
                f"with it: {advice}"
            ) from error
        raise ValueError(f"{file} cannot be read, it may be damaged or no checkpoint: {_reason(error)}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} is no checkpoint: it holds one object of type {type(content).__name__}")
    return content


def _read_trusted(file: Path) -> Any:
    return torch.load(file, map_location="cpu", weights_only=False)


def _read_data(file: Path, harmless: Sequence[type]) -> Any:
    allow = getattr(torch.serialization, "safe_globals", None)
    if allow is None:  # before torch 2.5
        return torch.load(file, map_location="cpu", weights_only=True)
    with allow([*_allowed(), *harmless]):
        return torch.load(file, map_location="cpu", weights_only=True)


@cache
def _allowed() -> list[Any]:
    """NumPy's scalars: the function that makes them, by the names that it has in NumPy 1 and 2, and their types."""
    kinds = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"
    makers = [_named(np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray") for core in ("core", "_core")]
    return [*makers, np.dtype, *{type(np.dtype(kind)) for kind in kinds}]


def _named(function: Callable[..., Any], module: str) -> Callable[..., Any]:
    """The function under the name of another module, by which torch compares it."""

    def scalar(*arguments: Any) -> Any:
        return function(*arguments)

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    return scalar


def _reason(error: Exception) -> str:
    # torch begins with its advice, of which the first line says nothing of the file.
    told = re.search(r"WeightsUnpickler error: (.*)", str(error))
    lines = [told[1]] if told else str(error).splitlines()
    # Where it may be damaged, torch goes on with how that can have happened.
    return next(iter(lines), "").partition(". ")[0] or type(error).__name__
