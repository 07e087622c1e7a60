"""``nnunet-tricks check RAW_DATASET``: apply the converters' checks to a raw data set that somebody else made.

The package ``dataset_conversion`` does the work. It is imported inside the functions: nnunetv2 has a folder of the same
name, which comes first on ``sys.path`` while nnU-Net looks for trainers.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from dataset_conversion.check.command import add_arguments

    parser.description = "Check a raw data set: files, pairs, geometry, labels, duplicates, leaks in its splits."
    add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check; the exit code is 1 if there is any fault."""
    from dataset_conversion.check import command

    return command.run(arguments, changed=_changed)


def _changed(folder: Path) -> list[str]:
    """Name the files that differ from what ``annotate`` wrote."""
    from nnunet_tricks.annotation.recorded import changes
    from nnunet_tricks.nnunet.folders import Folders

    return changes(Folders(folder.parent, folder.parent, folder.parent), folder.name)
