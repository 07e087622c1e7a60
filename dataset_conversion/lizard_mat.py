"""MATLAB files of Lizard: an instance map, and the class of each instance number."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from dataset_conversion.errors import Refused
from dataset_conversion.picture_damage import what_it_is
from dataset_conversion.source_file import open_source

_ENTRIES = ("inst_map", "id", "class")


def read_mat(path: Path) -> tuple[NDArray[Any], dict[int, int], str]:
    """Read the instance map, the class of each instance number, and the hash of the file.

    Raises:
        Refused: With the reason.
    """
    source = open_source(path)
    if source.data[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in source.data[:128]:
        raise Refused(f"{path.name} is a MATLAB 7.3 file (HDF5); save it with -v7")
    try:
        content = loadmat(io.BytesIO(source.data))
    # SciPy's reader may fail in any way on damaged bytes.
    except Exception as error:
        what = what_it_is(source.data) or f" ({error}); download it again"
        raise Refused(f"{path.name} cannot be read as a MATLAB file{what}") from error
    missing = [name for name in _ENTRIES if name not in content]
    if missing:
        raise Refused(f"{path.name} has no entry {', '.join(missing)}; it needs {', '.join(_ENTRIES)}")
    numbers, classes = (_whole(content[name], name, path.name) for name in ("id", "class"))
    if len(numbers) != len(classes):
        raise Refused(f"{path.name} lists {len(numbers)} nuclei and {len(classes)} classes")
    known: dict[int, int] = {}
    for number, kind in zip(numbers, classes, strict=True):
        if known.setdefault(number, kind) != kind:
            raise Refused(f"{path.name} lists the nucleus {number} twice, with the classes {known[number]} and {kind}")
    instances = content["inst_map"]
    if not isinstance(instances, np.ndarray):
        # The map is sparse.
        instances = instances.toarray()
    return instances, known, source.sha256


def _whole(values: Any, entry: str, name: str) -> list[int]:
    """The whole numbers of a column."""
    column = np.ravel(values)
    if column.dtype.kind not in "buif":
        raise Refused(f"{name} has {column.dtype} in its entry {entry}; numbers are needed")
    if column.dtype.kind == "f" and not (np.isfinite(column).all() and (column == np.floor(column)).all()):
        wrong = next(
            value for value in column.tolist() if value != value or value in (float("inf"), -float("inf")) or value % 1
        )
        raise Refused(f"{name} has {wrong} in its entry {entry}; whole numbers are needed")
    return [int(value) for value in column.tolist()]
