"""Options that several sub-commands of ``annotate`` have, and how they print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_tricks.annotation.learning import Learning
    from nnunet_tricks.annotation.selection import SelectionSettings

LEARNED = ("learned", "chain")
METHODS = ("copy", "sdf", *LEARNED)


def add_dataset(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add the source data set and the number of the new one."""
    parser.add_argument("dataset", metavar="DATASET", help=help_text)
    add_number(parser)


def add_number(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``."""
    parser.add_argument("--to", type=int, required=True, metavar="NUMBER", help="number of the new data set")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which slices of which volumes are chosen."""
    group = parser.add_argument_group("which slices of which volumes")
    group.add_argument(
        "--density", type=float, required=True, metavar="SHARE", help="share of the slices of a volume, such as 0.1"
    )
    group.add_argument(
        "--policy",
        choices=("fixed", "random", "ual"),
        default="fixed",
        help="fixed intervals, at random, or by what slices show (unsupervised active learning); default: %(default)s",
    )
    group.add_argument(
        "--volumes",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the volumes, chosen at random; a larger share contains each smaller one (default: all)",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--objective",
        choices=("cover", "kcenter"),
        default="cover",
        help="goal of ual: each slice resembles a chosen one, or no slice is far from every chosen one "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--features",
        choices=("pixels", "autoencoder"),
        default="pixels",
        help="what ual compares; an autoencoder is trained first (default: %(default)s)",
    )


def selection_settings(arguments: argparse.Namespace) -> SelectionSettings:
    """The values of the options of ``add_selection``."""
    from nnunet_tricks.annotation.selection import SelectionSettings

    return SelectionSettings(
        density=arguments.density,
        policy=arguments.policy,
        fraction=arguments.volumes,
        seed=arguments.seed,
        objective=arguments.objective,
        features=arguments.features,
    )


def add_learning(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options of the network that ``learned`` and ``chain`` need."""
    group = parser.add_argument_group(
        "learned and chain", "A network learns from images alone which pixel of a slice is which of the next."
    )
    group.add_argument(
        "--network",
        metavar="FILE",
        type=Path,
        help="file of the network: trained if it does not exist, trained further if training was interrupted, "
        f"otherwise used as it is (default: {default})",
    )
    group.add_argument("--steps", type=int, metavar="N", help="training steps in all (default: 1500)")
    group.add_argument("--device", help="such as cuda:0 or cpu (default: a GPU if there is one)")


def learning_settings(arguments: argparse.Namespace) -> Learning:
    """The values of the options of ``add_learning``."""
    from nnunet_tricks.annotation.learning import Learning

    return Learning(file=arguments.network, steps=arguments.steps, device=arguments.device)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run`` and ``--json``."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def warn(lines: Iterable[str]) -> None:
    """Print warnings to standard error."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def print_report(arguments: argparse.Namespace, report: Any) -> None:
    """Print a report as JSON."""
    print(json.dumps({"dry_run": arguments.dry_run, **vars(report)}, indent=2))


def written(arguments: argparse.Namespace) -> str:
    """How a line begins that names what was written, or would be."""
    return "Dry run: would write" if arguments.dry_run else "Written:"


def preferred(configurations: Sequence[str]) -> str:
    """The configuration that a suggested command names."""
    return "3d_fullres" if "3d_fullres" in configurations else configurations[0]
