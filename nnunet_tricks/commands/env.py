"""``nnunet-tricks env``: nnU-Net's environment variable for external trainers, set to our folder."""

from __future__ import annotations

import argparse
import os
import sys

from nnunet_tricks.door import external


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Print the line that adds our trainers' folder to those that nnU-Net's nnUNet_extTrainer holds (nnU-Net "
        '2.8 and later). Use it as: eval "$(nnunet-tricks env)", or append it to the start-up file of your shell.'
    )
    parser.add_argument(
        "--shell",
        choices=list(external.SHELLS),
        default="bash",
        help="shell to print the line for (default: bash, also for sh and zsh)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the line."""
    print(external.assignment(shell=arguments.shell, present=os.environ.get(external.VARIABLE, "")))
    if not external.is_read():
        print(
            f"nnunet-tricks: only nnunetv2 2.8 and later reads {external.VARIABLE}, and it is not installed here: use "
            "'nnunet-tricks link', or update nnunetv2",
            file=sys.stderr,
        )
    return 0
