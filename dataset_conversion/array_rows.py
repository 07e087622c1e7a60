"""Rows of NumPy arrays that lie on disk: many cases in one file, which is never in memory as a whole."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import FileRecord
from dataset_conversion.source_file import Source, source_of


@lru_cache(maxsize=4)
def open_array(path: Path) -> NDArray[Any]:
    """An array, mapped into memory once for each process.

    Raises:
        ConversionError: If the file is damaged or shorter than its header says.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ConversionError(f"{path.name} is damaged or cut off ({error}); download it again") from error
    return array


def read_row(path: Path, index: int) -> tuple[NDArray[Any], Source]:
    """One row, and its bytes as a source of its own, named like ``images.npy[3]``."""
    row = np.ascontiguousarray(open_array(path)[index])
    return row, source_of(path.with_name(f"{path.name}[{index}]"), row.tobytes())


def row_record(role: str, source: Source) -> FileRecord:
    """The record of one row, hashed on its own."""
    return FileRecord(role=role, path=source.path.name, sha256=source.sha256, bytes=source.size)
