"""The cells of a round as plain JSON: words, numbers and folders, which can name a command of ours and nothing else.

Jobs read this file on their nodes. It never holds code, so whoever writes into it can at most ask for another of
nnU-Net's commands or of ours. The job's script in the same folder is code, of course: others should not be able to
write there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.inference_cells import Ensemble, Postprocess, PredictViews
from nnunet_tricks.experiment.nnunet_cells import (
    AddConfiguration,
    Evaluate,
    MakePlans,
    Predict,
    Preprocess,
    Pretrain,
    Train,
)
from nnunet_tricks.utilities.files import write_atomically

FILE = "cells.json"
CHECKED_ELSEWHERE = {"key"}
"""Fields whose words need not be names."""

KINDS: dict[str, type[Cell]] = {
    kind.__name__: kind
    for kind in (
        MakePlans,
        AddConfiguration,
        Preprocess,
        Train,
        Pretrain,
        Predict,
        PredictViews,
        Ensemble,
        Postprocess,
        Evaluate,
    )
}
"""What a cell of the file can be; nothing else is ever made of it."""

WORDS: Mapping[Any, str] = {str: "a word", int: "a whole number", bool: "true or false", Path: "an absolute path"}

NAME = re.compile(r"(?![-.])[^/\\\0]+")
"""What data sets, configurations, plans, trainers, folds, parts, checkpoints and devices can be called."""


def write(folder: Path, cells: Mapping[str, Cell], timings: Mapping[str, Sequence[str]]) -> None:
    """Write the cells of a round.

    Args:
        folder: The round's folder.
        cells: The cells, by the names of their jobs.
        timings: Names of the cells that a job times steps for, by the name of that job.
    """
    content = {"cells": {name: as_data(cell) for name, cell in cells.items()}, "timings": timings}
    write_atomically(folder / FILE, json.dumps(content))


def read_job(folder: Path, name: str) -> Cell | dict[str, Cell]:
    """What a job has to do.

    Args:
        folder: The round's folder.
        name: The job's name.

    Returns:
        A cell to run, or the cells to time steps for, by their names.

    Raises:
        ValueError: If the file is not one that ``write`` has written, or does not name the job.
    """
    file = folder / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{file} is not there: another version began this run, so start it again") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not valid JSON ({error}): start the run again, which writes a new one") from error
    try:
        cells, timings = (_mapping(content, key) for key in ("cells", "timings"))
        if name in timings:
            # What the trainings need is done before steps are timed.
            names = _made(timings[name], tuple[str, ...], f"timings of {name}")
            return {timed: replace(_cell(cells, timed), after=()) for timed in names}
        return _cell(cells, name)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def as_data(cell: Cell) -> dict[str, Any]:
    """A cell as JSON takes it.

    Raises:
        ValueError: If it is none of ``KINDS``.
    """
    if KINDS.get(type(cell).__name__) is not type(cell):
        raise ValueError(f"a {type(cell).__name__} cannot be a job; the kinds are {', '.join(KINDS)}")
    return {"kind": type(cell).__name__, **{field.name: _plain(getattr(cell, field.name)) for field in fields(cell)}}


def of_data(content: Any) -> Cell:
    """The cell that ``as_data`` was given.

    Raises:
        ValueError: If something in it is not what it should be.
    """
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise ValueError(f"a cell must be a mapping with a 'kind', got {_shown(content)}")
    kind = KINDS.get(content["kind"])
    if kind is None:
        raise ValueError(f"the kind of a cell must be one of {', '.join(KINDS)}, got '{content['kind']}'")
    cell: Cell = _made({key: value for key, value in content.items() if key != "kind"}, kind, content["kind"])
    for key in (cell.key, *cell.after):
        if not _is_within(key):
            raise ValueError(f"keys of {content['kind']} must be paths within the folder of states, got '{key}'")
    return cell


def _is_within(key: str) -> bool:
    return bool(Path(key).parts) and ".." not in Path(key).parts and not Path(key).is_absolute() and "\0" not in key


def _cell(cells: Mapping[str, Any], name: str) -> Cell:
    if name not in cells:
        raise ValueError(f"there is no cell '{name}'")
    return of_data(cells[name])


def _mapping(content: Any, key: str) -> dict[str, Any]:
    inner = content.get(key) if isinstance(content, dict) else None
    if not isinstance(inner, dict):
        raise ValueError(f"'{key}' must be a mapping, got {_shown(inner)}")
    return inner


def _plain(value: Any) -> Any:
    """A value as JSON takes it."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _made(value: Any, kind: Any, what: str) -> Any:
    """A value of the kind that a dataclass declares.

    Raises:
        ValueError: If it is of another kind.
    """
    if is_dataclass(kind):
        return _dataclass(value, kind, what)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{what} must be a list, got {_shown(value)}")
        return tuple(_made(item, get_args(kind)[0], f"an item of {what}") for item in value)
    if kind is Path:
        if isinstance(value, str) and Path(value).is_absolute():
            return Path(value)
    elif type(value) is kind:  # true is an int, too
        return value
    raise ValueError(f"{what} must be {WORDS[kind]}, got {_shown(value)}")


def _dataclass(value: Any, kind: Any, what: str) -> Any:
    hints, known = get_type_hints(kind), {field.name: field for field in fields(kind)}
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a mapping, got {_shown(value)}")
    unknown = [key for key in value if key not in known]
    absent = [name for name, field in known.items() if name not in value and _is_needed(field)]
    if unknown or absent:
        fault = f"has no field '{unknown[0]}'" if unknown else f"lacks '{absent[0]}'"
        raise ValueError(f"{what} {fault}; its fields are {', '.join(known)}")
    made = {name: _made(part, hints[name], f"'{name}' of {kind.__name__}") for name, part in value.items()}
    for name, word in made.items():
        # These become words of nnU-Net's commands and names of folders, from which nnU-Net opens pickles.
        if isinstance(word, str) and name not in CHECKED_ELSEWHERE and not NAME.fullmatch(word):
            raise ValueError(
                f"'{name}' of {kind.__name__} must be a name without slashes that begins with neither - nor ., "
                f"got '{word}'"
            )
    return kind(**made)


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _shown(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return {NoneType: "nothing", dict: "a mapping", list: "a list"}[type(value)]
    return f"'{value}'" if isinstance(value, str) else str(value)
