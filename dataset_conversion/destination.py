"""The number and name of the new data set, and what is in their way."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_conversion.errors import ConversionError

_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def raw_folder(folder: Path | None) -> Path:
    """The folder of raw data sets: the given one, else that of nnU-Net's environment variable.

    Raises:
        ConversionError: If there is neither.
    """
    if folder is not None:
        return folder
    value = os.environ.get(_FOLDERS[0])
    if not value:
        raise ConversionError(
            "the environment variable nnUNet_raw is not set; set it to the folder of your raw data sets, or "
            "give --raw FOLDER"
        )
    return Path(value)


def holders(raw: Path) -> dict[int, list[Path]]:
    """Find every data set number in use, with its folders; nnU-Net looks in all three of its places."""
    places = [raw, *(Path(os.environ[name]) for name in _FOLDERS[1:] if os.environ.get(name))]
    taken: dict[int, list[Path]] = {}
    for place in places:
        for folder in sorted(place.glob("Dataset[0-9][0-9][0-9]*")) if place.is_dir() else []:
            match = re.match(r"Dataset(\d+)_", folder.name)
            if match and folder.is_dir():
                taken.setdefault(int(match[1]), []).append(folder)
    return taken


def checked_name(number: int, suffix: str) -> str:
    """``DatasetXXX_suffix``, if nnU-Net accepts that name.

    Raises:
        ConversionError: If the number or the name is not allowed.
    """
    if not 1 <= number <= 999:
        raise ConversionError(f"data set number must be between 1 and 999, got {number}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", suffix):
        raise ConversionError(f"data set name must be letters, digits, '_' and '-', got {suffix!r}")
    return f"Dataset{number:03d}_{suffix}"


def data_set_name(raw: Path, number: int, suffix: str) -> str:
    """``DatasetXXX_suffix``, if the number is free.

    Raises:
        ConversionError: Naming the folder that holds the number, and the next free one.
    """
    name = checked_name(number, suffix)
    taken = holders(raw)
    in_the_way = [folder for folder in taken.get(number, []) if folder.name != name or folder.parent == raw]
    if in_the_way:
        free = next(candidate for candidate in [*range(number, 1000), *range(1, number)] if candidate not in taken)
        raise ConversionError(
            f"number {number} is taken by {in_the_way[0]}; choose another one, such as -d {free}, or move that "
            f"folder away"
        )
    return name


def splits_in_the_way(name: str, splits: Sequence[Mapping[str, Any]]) -> str | None:
    """A warning if nnU-Net already has other splits for this data set, since its planner stops there without a word."""
    preprocessed = os.environ.get(_FOLDERS[1])
    path = Path(preprocessed, name, "splits_final.json") if preprocessed else None
    if path is None or not path.is_file():
        return None
    try:
        old = json.loads(path.read_text())
        same = len(old) >= len(splits) and all(
            set(fold[part]) == set(old_fold[part])
            for fold, old_fold in zip(splits, old, strict=False)
            for part in ("train", "val")
        )
    except (ValueError, KeyError, TypeError):
        same = False
    if same:
        return None
    return (
        f"{path} holds other splits; nnUNetv2_plan_and_preprocess would stop with an AssertionError that explains "
        f"nothing. Remove or rename that file first"
    )
