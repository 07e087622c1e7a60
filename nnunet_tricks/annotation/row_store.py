"""Rows of numbers in a temporary file, when they do not fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

CHUNK = 2048
"""Number of rows that are read at once."""


class RowStore:
    """Rows of one width, in a ``with`` block; only rows that are read are in memory.

    Args:
        width: Count of numbers in a row.
        dtype: Type of the numbers.

    Examples:
        >>> with RowStore(2, np.uint8) as rows:
        ...     rows.add(np.array([[1, 2], [3, 4]]))
        ...     rows.add(np.array([[5, 6]]))
        ...     len(rows), rows.parts, rows.take([2, 0]).tolist()
        (3, [2, 1], [[5, 6], [1, 2]])
    """

    def __init__(self, width: int, dtype: DTypeLike) -> None:
        """Begin without rows; the file is made on entering."""
        self.width, self.dtype = width, np.dtype(dtype)
        self.parts: list[int] = []
        self._bytes = width * self.dtype.itemsize

    def __enter__(self) -> RowStore:
        """Make the file in the system's temporary folder."""
        self._file = tempfile.TemporaryFile(prefix="nnunet_tricks_")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the file."""
        self._file.close()

    def __len__(self) -> int:
        """Number of all rows."""
        return sum(self.parts)

    def add(self, rows: NDArray[np.generic]) -> None:
        """Append the rows of a volume.

        Raises:
            OSError: If the disk is full.
        """
        try:
            self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(rows, self.dtype).tobytes())
            self._file.flush()
        except OSError as error:
            raise OSError(
                f"temporary file in {tempfile.gettempdir()} could not be written ({error.strerror}): make room there, "
                "or set TMPDIR to another folder"
            ) from error
        self.parts.append(len(rows))

    def take(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[Any]:
        """Read some rows, in any order."""
        rows = np.empty((len(indices), self.width), self.dtype)
        for place, index in enumerate(indices):
            self._file.seek(int(index) * self._bytes)
            rows[place] = np.frombuffer(self._file.read(self._bytes), self.dtype)
        return rows

    def chunks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Read all rows, some at a time, with their places."""
        for start in range(0, len(self), CHUNK):
            count = min(CHUNK, len(self) - start)
            self._file.seek(start * self._bytes)
            content = np.frombuffer(self._file.read(count * self._bytes), self.dtype)
            yield slice(start, start + count), content.reshape(count, self.width)
