"""Options that all actions of ``ganaug`` have, and the device."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LEAST = {"steps": 1, "batch": 1, "width": 1, "save_every": 1, "pairs": 1, "blocks": 1, "neighbours": 0}
"""Smallest value of each option that is a number."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options of all actions."""
    add = parser.add_argument
    add("-f", dest="fold", required=True, metavar="FOLD", help="fold whose training cases are used, or all")
    add("-c", dest="configuration", default="2d", metavar="CONFIGURATION", help="configuration (default: 2d)")
    add("-p", dest="plans", default="nnUNetPlans", metavar="PLANS", help="plans (default: nnUNetPlans)")
    add("--seed", type=int, default=0, help="seed of all random draws (default: %(default)s)")
    add("--device", default="", help="device, such as cuda or cpu (default: a GPU if there is one)")
    add("--dry-run", action="store_true", help="check everything, and write nothing")
    add("--json", action="store_true", help="print the result as JSON")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the data set."""
    parser.add_argument("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")


def add_training(parser: argparse.ArgumentParser, steps: str) -> None:
    """Add the options of a training.

    Args:
        parser: Parser of the action.
        steps: Words for the default number of steps.
    """
    add = parser.add_argument
    add("--steps", type=int, metavar="N", help=f"steps of the training (default: {steps})")
    add("--batch", type=int, default=1, metavar="N", help="images of a step (default: %(default)s)")
    add("--width", type=int, default=64, metavar="N", help="channels of the first layer (default: %(default)s)")
    add("--save-every", type=int, default=1000, metavar="N", help="steps between checkpoints (default: %(default)s)")
    add("--restart", action="store_true", help="begin anew, and replace the GAN that is there")


def check_numbers(arguments: argparse.Namespace) -> None:
    """Refuse numbers that are too small.

    Raises:
        ValueError: With the first of them.
    """
    for option, least in LEAST.items():
        number = getattr(arguments, option, None)
        if number is not None and number < least:
            name = "-n" if option == "pairs" else f"--{option.replace('_', '-')}"
            raise ValueError(f"{name} must be at least {least}, got {number}")


def device_of(arguments: argparse.Namespace) -> torch.device:
    """The device that is asked for.

    Raises:
        ValueError: If it cannot be used.
    """
    import torch

    if not arguments.device:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(arguments.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"--device {arguments.device} cannot be used here: {first}") from error
    return device
