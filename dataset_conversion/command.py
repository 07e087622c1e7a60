"""The command line of the converters: ``python -m dataset_conversion.kits19`` and ``nnunet-tricks convert kits19``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.model import ConversionSettings, DataSet
from dataset_conversion.registry import MODULES, load

if TYPE_CHECKING:
    from dataset_conversion.engine import ConversionRequest


def add_data_sets(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each data set."""
    converters = parser.add_subparsers(dest="converter", metavar="DATA_SET", required=True)
    for name in MODULES:
        data_set = load(name)
        described = f"Make an nnU-Net raw data set from {data_set.title}."
        add_arguments(converters.add_parser(name, help=data_set.title, description=described), data_set)


def add_arguments(parser: argparse.ArgumentParser, data_set: DataSet) -> None:
    """Add the options that all data sets share, and the data set's own.

    A shared option has the name of a field of `engine.ConversionRequest` or `model.ConversionSettings`.
    """
    presets = ", ".join(data_set.exclusions)
    add = parser.add_argument
    add("sources", nargs="+", type=Path, metavar="SOURCE", help="folder(s) with the unpacked download")
    add("-d", "--number", type=int, default=data_set.number, help=f"data set number (default {data_set.number})")
    name = f"what follows DatasetXXX_ (default {data_set.folder_name} and the task)"
    add("--name", dest="folder_name", metavar="NAME", help=name)
    add("--raw", type=Path, metavar="FOLDER", help="folder of raw data sets (default: environment variable nnUNet_raw)")
    _add_task_and_split(parser, data_set)
    exclude = f"case to leave out, or a preset: none{', ' + presets if presets else ''}; may be repeated"
    add("--exclude", action="append", default=[], metavar="CASE", help=exclude)
    columns = "csv with a column id and any of group, modality, structure, site; published lists work unchanged"
    add("--metadata", type=Path, metavar="CSV", help=columns)
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes (default: cores, at most 8)")
    add("--dry-run", action="store_true", help="look at names only, say what would be done, write nothing")
    add("--resume", action="store_true", help="continue a conversion that was stopped")
    add("--restart", action="store_true", help="discard a conversion that was stopped, and begin again")
    add("--preview", action="store_true", help="write preview.png: images with their outlines, to be looked at")
    add("--skip-refused", action="store_true", help="exit code 0 even if cases were refused")
    space = "begin even if the disk looks too small"
    add("--no-space-check", dest="space_check", action="store_false", help=space)
    add("--json", dest="quiet", action="store_true", help="print the summary as JSON")
    links = "how valid images are placed: hard link (default; copied where that is impossible), symbolic link, copy"
    add("--link", choices=["hard", "symbolic", "copy"], default="hard", help=links)
    if data_set.file_endings:
        names = [ending.lstrip(".") for ending in data_set.file_endings]
        add("--format", choices=names, default=names[0], help=f"file format written (default {names[0]})")
    data_set.add_arguments(parser)


def _add_task_and_split(parser: argparse.ArgumentParser, data_set: DataSet) -> None:
    tasks = "; ".join(f"{task.name}: {task.summary.removeprefix('regions: ')}" for task in data_set.tasks)
    schemes = "; ".join(f"{name}: {what}" for name, what in data_set.splits.items()).replace("%", "%%")
    add = parser.add_argument
    add("--task", choices=[task.name for task in data_set.tasks], default=data_set.tasks[0].name, help=tasks)
    add("--split", choices=list(data_set.splits), default=next(iter(data_set.splits)), help=schemes)
    add("--folds", type=int, default=5, help="folds of the split (default 5)")
    add("--seed", type=int, default=12345, help="seed of the split (default 12345)")


def run(arguments: argparse.Namespace, data_set: DataSet) -> int:
    """Convert; the exit code is 1 if anything was refused.

    Raises:
        ValueError: With a sentence for the user, if the conversion cannot start or continue.
    """
    from dataset_conversion import engine, report

    result = engine.run(request_of(arguments, data_set))
    print(json.dumps(result.summary, indent=2) if arguments.quiet else report.text(result.summary))
    return 1 if result.refused and not arguments.skip_refused else 0


def request_of(arguments: argparse.Namespace, data_set: DataSet) -> ConversionRequest:
    """What the arguments ask for: a field that an option is named for has that option's value.

    Raises:
        ValueError: If arguments are out of range or contradict each other.
    """
    from dataset_conversion import destination
    from dataset_conversion.engine import ConversionRequest

    for name, least in (("workers", 1), ("folds", 2)):
        if getattr(arguments, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(arguments, name)}")
    if arguments.resume and arguments.restart:
        raise ValueError("--resume and --restart exclude each other")
    task = data_set.task(arguments.task)
    suffix = "" if task is data_set.tasks[0] else "".join(word.capitalize() for word in task.name.split("_"))
    derived_settings = {
        "task": task,
        "file_ending": f".{arguments.format}" if data_set.file_endings else "",
        "options": {name: getattr(arguments, name) for name in own_options(data_set)},
    }
    derived = {
        "data_set": data_set,
        "settings": ConversionSettings(**{**_fields(arguments, ConversionSettings), **derived_settings}),
        "raw": destination.raw_folder(arguments.raw),
        "folder_name": arguments.folder_name or data_set.folder_name + suffix,
    }
    return ConversionRequest(**{**_fields(arguments, ConversionRequest), **derived})


def own_options(data_set: DataSet) -> list[str]:
    """Names of the options that only this data set has: those of a parser without any others."""
    parser = argparse.ArgumentParser(add_help=False)
    data_set.add_arguments(parser)
    return list(vars(parser.parse_args([])))


def _fields(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """The arguments that are named like fields of a dataclass."""
    values = vars(arguments)
    return {field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values}


def main(name: str, argv: Sequence[str] | None = None) -> int:
    """Run ``python -m dataset_conversion.<module>``."""
    data_set = load(name)
    module = f"dataset_conversion.{MODULES[name]}"
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Convert {data_set.title} for nnU-Net.")
    add_arguments(parser, data_set)
    try:
        return run(parser.parse_args(argv), data_set)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; --resume continues from here", file=sys.stderr)
        return 130
