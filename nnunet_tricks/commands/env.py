"""``nnunet-tricks env``: nnU-Net's environment variable for trainers of others, set to our folder."""

from __future__ import annotations

import argparse
import os
import sys

from nnunet_tricks.door import external


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Print the line that adds our trainers' folder to those that nnU-Net's nnUNet_extTrainer holds (nnU-Net "
        '2.8 and later). Use it as: eval "$(nnunet-tricks env)", or append it to the start-up file of your shell.'
    )
    parser.add_argument(
        "--shell",
        choices=list(external.SHELLS),
        default="bash",
        help="whose language to print (default: bash, also right for sh and zsh)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the line."""
    print(external.assignment(shell=arguments.shell, present=os.environ.get(external.VARIABLE, "")))
    if not external.is_read():
        print(
            f"nnunet-tricks: {external.VARIABLE} is read by nnunetv2 2.8 and later, and no such one is installed here: "
            "use 'nnunet-tricks link', or update nnunetv2",
            file=sys.stderr,
        )
    return 0
