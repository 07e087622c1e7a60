"""nnU-Net's preprocessed cases, read without torch and without running what a pickle may hold."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALLOWED = {
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.{module}", name) for core in ("core", "_core") for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )),
}  # fmt: skip
"""What a file of properties needs beside Python's own values: arrays and numbers of NumPy."""

ANNOTATED = -1
"""Label in the key under which nnU-Net keeps voxels that are annotated at all."""


class _Values(pickle.Unpickler):
    """Reads pickles that hold nothing but values."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


def properties(file: Path) -> dict[str, Any]:
    """What nnU-Net's preprocessing has noted of a case.

    Args:
        file: File ``<case>.pkl``.

    Raises:
        ValueError: If it is damaged or holds more than values; nothing of it has run then.
    """
    try:
        with file.open("rb") as stream:
            content = _Values(stream).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ImportError) as error:
        raise ValueError(f"{file} holds more than values or is damaged: {error}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{file} does not hold the properties of a case")
    return dict(content)


def image_and_labels(folder: Path, case: str) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Image (C, Z, Y, X) and label map (Z, Y, X) of a preprocessed case.

    Args:
        folder: Folder of the preprocessed cases of a configuration.
        case: Name of the case.

    Raises:
        ValueError: If there are no such files, or they cannot be read.
    """
    try:
        if (folder / f"{case}.b2nd").is_file():
            import blosc2

            image, labels = (
                np.asarray(blosc2.open(str(folder / f"{case}{end}.b2nd"), mode="r")[:]) for end in ("", "_seg")
            )
        else:
            with np.load(folder / f"{case}.npz", allow_pickle=False) as arrays:
                image, labels = arrays["data"], arrays["seg"]
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{case} in {folder} cannot be read: {error}") from error
    return image.astype(np.float32), labels[0].astype(np.int16)
