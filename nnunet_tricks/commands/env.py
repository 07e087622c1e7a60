"""``nnunet-tricks env``: nnU-Net's environment variable for trainers of others, set to our folder."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import PackageNotFoundError, version

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
    try:
        installed = version("nnunetv2")
    except PackageNotFoundError:
        return 0
    if tuple(map(int, installed.split(".")[:2])) < (2, 8):
        print(
            f"nnunet-tricks: nnunetv2 {installed} does not read {external.VARIABLE}, 2.8 and later do: "
            "use 'nnunet-tricks link', or update nnunetv2",
            file=sys.stderr,
        )
    return 0
