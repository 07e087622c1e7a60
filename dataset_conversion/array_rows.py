"""Rows of NumPy arrays on disk: many cases in one file, which is never in memory as a whole."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import FileRecord
from dataset_conversion.source_file import SourceFile, source_of


@lru_cache(maxsize=4)
def open_array(path: Path) -> NDArray[Any]:
    """Map an array into memory, once for each process.

    Raises:
        ConversionError: If the file is damaged or shorter than its header says.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise ConversionError(
                f"{path.name} holds Python objects instead of numbers, as np.save makes of pictures of different "
                f"sizes; save one array of numbers"
            ) from error
        if "allow_pickle" in str(error):
            raise ConversionError(f"{path.name} is not a NumPy array, in spite of its name") from error
        raise ConversionError(f"{path.name} is damaged or cut off ({error}); download it again") from error
    if not isinstance(array, np.ndarray):
        raise ConversionError(f"{path.name} is an archive of several arrays (npz); save the one that is needed as npy")
    return array


@lru_cache(maxsize=4)
def highest_value(path: Path, limit: float) -> float:
    """The highest value of a whole array that is at most the limit; the array is read row by row."""
    highest = 0.0
    for row in open_array(path):
        # NaN compares as false.
        valid = row if row.dtype.kind in "bu" else row[row <= limit]
        if valid.size:
            highest = max(highest, min(float(valid.max()), limit))
    return highest


def read_row(path: Path, index: int) -> tuple[NDArray[Any], SourceFile]:
    """Read one row. Its bytes are a source of their own, with a name like ``images.npy[3]``."""
    row = np.ascontiguousarray(open_array(path)[index])
    return row, source_of(path.with_name(f"{path.name}[{index}]"), row.tobytes())


def row_record(role: str, source: SourceFile) -> FileRecord:
    """The record of one row, hashed on its own."""
    return FileRecord(role=role, path=source.path.name, sha256=source.sha256, bytes=source.size)
