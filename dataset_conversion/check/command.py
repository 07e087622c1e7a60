"""The command line of the check: ``nnunet-tricks check`` and ``python -m dataset_conversion.check.command``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dataset_conversion.check.finding import as_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the check."""
    add = parser.add_argument
    add("data_set", metavar="RAW_DATASET", help="folder of a raw data set, or its number or name in nnUNet_raw")
    add("--raw", type=Path, metavar="FOLDER", help="folder of raw data sets (default: environment variable nnUNet_raw)")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes (default: cores, at most 8)")
    add("--limit", type=int, default=20, help="findings of each level to print (default 20)")
    add("--json", action="store_true", help="print everything as JSON")


def folder_of(words: str, raw: Path | None) -> Path:
    """Find the folder of a path, a number or a name.

    Raises:
        ConversionError: If there is none, or two with the same number.
    """
    from dataset_conversion.destination import raw_folder
    from dataset_conversion.errors import ConversionError

    if Path(words).is_dir() and not words.isdigit():
        # The preprocessed folder has the same name, and "." has none.
        return Path(os.path.abspath(words)) if Path(words).name in ("", "..") else Path(words)
    if os.sep in words:
        raise ConversionError(f"raw data set {words!r} is not a folder")
    parent = raw_folder(raw)
    pattern = f"Dataset{int(words):03d}_*" if words.isdigit() else words
    folders = sorted(folder for folder in parent.glob(pattern) if folder.is_dir()) if parent.is_dir() else []
    if len(folders) != 1:
        names = f": {', '.join(folder.name for folder in folders)}" if folders else ""
        raise ConversionError(f"{parent} has {len(folders) or 'no'} data sets called {words!r}{names}; one is needed")
    return folders[0]


def run(arguments: argparse.Namespace, changed: Callable[[Path], Sequence[str]] = lambda folder: ()) -> int:
    """Check; the exit code is 1 if there is any fault.

    Args:
        arguments: Arguments of the command.
        changed: Function that names the files of a folder that differ from what was recorded, a sentence each.

    Raises:
        ValueError: With a sentence for the user, if there is nothing to check.
    """
    if arguments.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {arguments.workers}")
    from dataset_conversion.check.run import check

    folder = folder_of(arguments.data_set, arguments.raw)
    summary = check(folder, workers=arguments.workers, quiet=arguments.json, changed=changed)
    print(json.dumps(summary, indent=2) if arguments.json else as_text(summary, arguments.limit))
    return 1 if summary["faults"] else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m dataset_conversion.check.command``."""
    parser = argparse.ArgumentParser(
        prog="python -m dataset_conversion.check.command", description="Check an nnU-Net raw data set."
    )
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
