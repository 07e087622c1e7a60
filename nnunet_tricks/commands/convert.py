"""``nnunet-tricks convert DATA_SET SOURCE``: a downloaded data set into an nnU-Net raw data set.

The work is done by the package ``dataset_conversion``. It is imported inside the functions: nnunetv2 has a folder of
the same name, which comes first on ``sys.path`` while nnU-Net looks for trainers.
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command for each data set."""
    from dataset_conversion.command import add_data_sets

    add_data_sets(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert the chosen data set; 1 if a case was refused."""
    from dataset_conversion import command, registry

    try:
        return command.run(arguments, registry.load(arguments.converter))
    except KeyboardInterrupt:
        print("nnunet-tricks: interrupted; --resume goes on from here", file=sys.stderr)
        return 130
