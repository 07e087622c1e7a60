"""The table ``info.csv`` of Lizard: source and split of each image. Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.find import stem_of, walk
from dataset_conversion.text_table import TextTable, read_table

_NAME = "info.csv"
_SPLITS = ("1", "2", "3")

Info = dict[str, dict[str, str]]


def read_info(sources: Sequence[Path]) -> tuple[Info, list[Path]]:
    """Read the rows of info.csv by file stem, and name the tables that they come from.

    Raises:
        ConversionError: If a table has no file names or an unknown split, or contradicts itself about an image.
    """
    info: Info = {}
    paths = []
    for file in walk(sources, (_NAME,)):
        path = file.path
        # CoNIC's patch_info.csv has the same ending.
        if path.name.lower() != _NAME:
            continue
        table = read_table(path)
        _check(table)
        paths.append(path)
        for row in table.rows:
            stem = stem_of(row.cells["filename"].replace("\\", "/").rpartition("/")[2])
            cells = {name: row.cells.get(name, "") for name in ("source", "split")}
            # Spreadsheets and pandas write 1 as 1.0.
            cells["split"] = cells["split"].removesuffix(".0")
            if not stem:
                raise ConversionError(f"{path} line {row.line} names no file")
            if cells["split"] not in ("", *_SPLITS):
                raise ConversionError(f"{path} line {row.line} has the split {cells['split']!r}; splits are 1 to 3")
            if info.setdefault(stem, cells) != cells:
                raise ConversionError(
                    f"{path} line {row.line} says source {cells['source']!r} and split {cells['split']!r} of "
                    f"{stem!r}, an earlier line {info[stem]['source']!r} and {info[stem]['split']!r}; keep one of them"
                )
    return info, paths


def _check(table: TextTable) -> None:
    missing = [name for name in ("filename", "source", "split") if name not in table.columns]
    if missing:
        raise ConversionError(
            f"{table.path} has no column {' and no column '.join(map(repr, missing))}; it has "
            f"{', '.join(table.columns)}"
        )


def info_notes(info: Mapping[str, Mapping[str, str]], keys: Collection[str]) -> list[str]:
    """Notes on images that the table does not name.

    Raises:
        ConversionError: If it names none of them.
    """
    if not info or not keys:
        return []
    unnamed = sorted(key for key in keys if key not in info)
    if len(unnamed) == len(keys):
        raise ConversionError(
            f"{_NAME} names none of the {len(keys)} images (such as {unnamed[0]!r}); its names look like "
            f"{min(info)!r}; correct it, or remove it to convert without sources and splits"
        )
    if unnamed:
        return [
            f"{_NAME} does not name {len(unnamed)} of {len(keys)} images, such as {unnamed[0]}: their source was taken "
            f"from the name, and they validate in none of the three splits"
        ]
    return []
