"""The command line of the converters: ``python -m dataset_conversion.kits19`` and ``nnunet-tricks convert kits19``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dataset_conversion.model import DataSet, Settings
from dataset_conversion.registry import MODULES, load

_COMMON = frozenset(
    [
        "source",
        "number",
        "name",
        "raw",
        "task",
        "split",
        "folds",
        "seed",
        "exclude",
        "metadata",
        "link",
        "workers",
        "dry_run",
        "resume",
        "restart",
        "preview",
        "json",
        "skip_refused",
        "no_space_check",
        "format",
        "converter",
        "command",
    ]
)


def add_data_sets(parser: argparse.ArgumentParser) -> None:
    """One sub-command for each data set."""
    converters = parser.add_subparsers(dest="converter", metavar="DATA_SET", required=True)
    for name in MODULES:
        data_set = load(name)
        described = f"{data_set.title} into an nnU-Net raw data set."
        add_arguments(converters.add_parser(name, help=data_set.title, description=described), data_set)


def add_arguments(parser: argparse.ArgumentParser, data_set: DataSet) -> None:
    """The options that all data sets share, and the data set's own."""
    tasks = "; ".join(f"{task.name}: {task.summary}" for task in data_set.tasks)
    schemes = "; ".join(f"{name}: {what}" for name, what in data_set.splits.items())
    presets = ", ".join(data_set.exclusions)
    add = parser.add_argument
    add("source", nargs="+", type=Path, metavar="SOURCE", help="folder(s) with the unpacked download")
    add("-d", "--number", type=int, default=data_set.number, help=f"data set number (default {data_set.number})")
    add("--name", help=f"what follows DatasetXXX_ (default {data_set.folder_name} and the task)")
    add("--raw", type=Path, metavar="FOLDER", help="folder of raw data sets (default: environment variable nnUNet_raw)")
    add("--task", choices=[task.name for task in data_set.tasks], default=data_set.tasks[0].name, help=tasks)
    add("--split", choices=list(data_set.splits), default=next(iter(data_set.splits)), help=schemes.replace("%", "%%"))
    add("--folds", type=int, default=5, help="folds of the split (default 5)")
    add("--seed", type=int, default=12345, help="seed of the split (default 12345)")
    exclude = f"case to leave out, or a preset: none{', ' + presets if presets else ''}; may be repeated"
    add("--exclude", action="append", default=[], metavar="CASE", help=exclude)
    columns = "csv with a column id and any of group, modality, structure, site; published lists go as they are"
    add("--metadata", type=Path, metavar="CSV", help=columns)
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes (default: cores, at most 8)")
    add("--dry-run", action="store_true", help="look at names only, say what would be done, write nothing")
    add("--resume", action="store_true", help="go on with a conversion that was stopped")
    add("--restart", action="store_true", help="throw away a conversion that was stopped, begin anew")
    add("--preview", action="store_true", help="write preview.png: images with their outlines, to be looked at")
    add("--skip-refused", action="store_true", help="exit code 0 even if cases were refused")
    add("--no-space-check", action="store_true", help="begin even if the disk looks too small")
    add("--json", action="store_true", help="print the summary as JSON")
    links = (
        "images that are valid as they are: hard link (default; copied where that is impossible), symbolic link, copy"
    )
    add("--link", choices=["hard", "symbolic", "copy"], default="hard", help=links)
    if data_set.file_endings:
        names = [ending.lstrip(".") for ending in data_set.file_endings]
        add("--format", choices=names, default=names[0], help=f"file format written (default {names[0]})")
    data_set.add_arguments(parser)


def run(arguments: argparse.Namespace, data_set: DataSet) -> int:
    """Convert; the exit code is 1 if anything was refused.

    Raises:
        ValueError: With a sentence for the user, if the conversion cannot start or go on.
    """
    if arguments.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {arguments.workers}")
    if arguments.folds < 2:
        raise ValueError(f"--folds must be at least 2, got {arguments.folds}")
    if arguments.resume and arguments.restart:
        raise ValueError("--resume and --restart exclude each other")
    from dataset_conversion import destination, engine, report

    task = data_set.task(arguments.task)
    suffix = "" if task is data_set.tasks[0] else "".join(word.capitalize() for word in task.name.split("_"))
    options = {key: value for key, value in vars(arguments).items() if key not in _COMMON}
    settings = Settings(
        task=task,
        split=arguments.split,
        folds=arguments.folds,
        seed=arguments.seed,
        link=arguments.link,
        file_ending=f".{arguments.format}" if data_set.file_endings else "",
        options=options,
    )
    outcome = engine.run(
        engine.Request(
            data_set=data_set,
            sources=arguments.source,
            settings=settings,
            raw=destination.raw_folder(arguments.raw),
            number=arguments.number,
            folder_name=arguments.name or data_set.folder_name + suffix,
            exclude=arguments.exclude,
            metadata=arguments.metadata,
            workers=arguments.workers,
            dry_run=arguments.dry_run,
            resume=arguments.resume,
            restart=arguments.restart,
            preview=arguments.preview,
            space_check=not arguments.no_space_check,
            quiet=arguments.json,
        )
    )
    print(json.dumps(outcome.summary, indent=2) if arguments.json else report.text(outcome.summary))
    return 1 if outcome.refused and not arguments.skip_refused else 0


def main(name: str, argv: Sequence[str] | None = None) -> int:
    """``python -m dataset_conversion.<module>``."""
    data_set = load(name)
    module = f"dataset_conversion.{MODULES[name]}"
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"{data_set.title} into nnU-Net.")
    add_arguments(parser, data_set)
    try:
        return run(parser.parse_args(argv), data_set)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; --resume goes on from here", file=sys.stderr)
        return 130
