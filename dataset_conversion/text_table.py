"""Text files and csv tables as people save them. Errors name file and line. Standard library only."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import ConversionError

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS = (",", ";", "\t")
# A file that begins with these is not text, in spite of its name.
_OTHERS = {b"PK\x03\x04": "a zip or Excel file", b"\xd0\xcf\x11\xe0": "an old Excel file", b"\x1f\x8b": "a gzip file"}


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One line of a table."""

    line: int
    """Number of the line in the file, from 1."""
    cells: dict[str, str]
    """Text of each column, by its name in small letters; empty if the line ends early."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A csv file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


def read_text(path: Path) -> str:
    """Read a text file in UTF-8 or, with a byte order mark, UTF-16.

    Raises:
        ConversionError: If it has another encoding, or is not text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error.strerror or error}") from error
    for beginning, what in _OTHERS.items():
        if data.startswith(beginning):
            raise ConversionError(f"{path} is {what}, not text; save it as csv or text in UTF-8")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConversionError(
            f"{path} is not in UTF-8 (line {line} holds the byte 0x{data[error.start]:02x}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ConversionError(f"{path} holds zero bytes, as UTF-16 without its mark does; save it as UTF-8")
    return text


def read_table(path: Path) -> TextTable:
    """Read a csv whose first line names its columns, separated by commas, semicolons or tabs.

    Raises:
        ConversionError: If it is not such a table, names a column twice, or a line has more cells than columns.
    """
    text = read_text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    columns: tuple[str, ...] = ()
    rows = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = tuple(name.lower() for name in cells)
                _check_columns(path, columns)
                continue
            if any(cells[len(columns) :]):
                raise ConversionError(
                    f"{path} line {reader.line_num} has {len(cells)} cells, its first line names {len(columns)} columns"
                )
            padded = [*cells, *[""] * (len(columns) - len(cells))]
            rows.append(TableRow(line=reader.line_num, cells=dict(zip(columns, padded, strict=False))))
    except csv.Error as error:
        raise ConversionError(f"{path} line {reader.line_num} cannot be read as csv: {error}") from error
    if not columns:
        raise ConversionError(f"{path} is empty; a table with column names is needed")
    return TextTable(path=path, columns=columns, rows=tuple(rows))


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise ConversionError(f"{path} has {twice[0]!r} as the name of two columns; keep one")
