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
    """Rows of info.csv by file stem, and the tables that they come from.

    Raises:
        ConversionError: If a table has no file names, an unknown split, or says two things about one image.
    """
    info: Info = {}
    paths = []
    for found in walk(sources, (_NAME,)):
        # CoNIC's patch_info.csv ends alike.
        if found.path.name.lower() != _NAME:
            continue
        table = read_table(found.path)
        _check(table)
        paths.append(found.path)
        for row in table.rows:
            stem = stem_of(row.cells["filename"].replace("\\", "/").rpartition("/")[2])
            cells = {name: row.cells.get(name, "") for name in ("source", "split")}
            # Numbers that went through a spreadsheet or pandas.
            cells["split"] = cells["split"].removesuffix(".0")
            if not stem:
                raise ConversionError(f"{found.path} line {row.line} names no file")
            if cells["split"] not in ("", *_SPLITS):
                raise ConversionError(
                    f"{found.path} line {row.line} has the split {cells['split']!r}; splits are 1 to 3"
                )
            if info.setdefault(stem, cells) != cells:
                raise ConversionError(
                    f"{found.path} line {row.line} says source {cells['source']!r} and split {cells['split']!r} of "
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
    """What is to be said about images that the table does not have.

    Raises:
        ConversionError: If it has none of them.
    """
    if not info or not keys:
        return []
    without = sorted(key for key in keys if key not in info)
    if len(without) == len(keys):
        raise ConversionError(
            f"{_NAME} names none of the {len(keys)} images (such as {without[0]!r}); its names look like "
            f"{min(info)!r}; correct it, or remove it to convert without sources and splits"
        )
    if without:
        return [
            f"{_NAME} does not name {len(without)} of {len(keys)} images, such as {without[0]}: their source was taken "
            f"from the name, and they validate in none of the three splits"
        ]
    return []
