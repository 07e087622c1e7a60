"""``nnunet-tricks convert DATA_SET SOURCE``: make a raw data set of nnU-Net from a download.

The package ``dataset_conversion`` does the work. It is imported inside the functions: nnunetv2 has a folder of the same
name, which comes first on ``sys.path`` while nnU-Net looks for trainers.
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each data set."""
    from dataset_conversion.command import add_data_sets

    parser.description = "Make nnU-Net raw data sets from ISIC 2018, CoNIC, KiTS19, LiTS and Cosmos55k."
    add_data_sets(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert the chosen data set; the exit code is 1 if a case was refused."""
    from dataset_conversion import command, registry

    try:
        return command.run(arguments, registry.load(arguments.converter))
    except KeyboardInterrupt:
        print("nnunet-tricks: interrupted; --resume continues from here", file=sys.stderr)
        return 130
