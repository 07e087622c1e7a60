"""``nnunet-tricks cluster``: what ``run --runner snakemake`` needs, and whether it works here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnunet_tricks.experiment.cluster.environment import VARIABLE, Environment
from nnunet_tricks.experiment.cluster.profile import FOLDER, LOCAL, SCHEDULERS
from nnunet_tricks.utilities.durations import seconds_in


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Prepare for a cluster. 'setup' installs Snakemake in an environment of its own, 'profile' prints a profile "
        "for you to edit, and 'check' submits one tiny job of each kind and reports what is wrong."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    setup = actions.add_parser("setup", help="install Snakemake with executors")
    setup.add_argument("schedulers", nargs="*", metavar="SCHEDULER", help=f"any of {', '.join(SCHEDULERS)}")
    setup.add_argument(
        "--folder",
        type=Path,
        help=f"folder to install to, which nodes must see (default: ${VARIABLE}, else in your home)",
    )
    setup.add_argument("--python", default=sys.executable, help="interpreter, 3.11 or later (default: this one)")
    profile = actions.add_parser("profile", help="print a profile for you to edit")
    profile.add_argument("scheduler", choices=SCHEDULERS, metavar="SCHEDULER", help=f"one of {', '.join(SCHEDULERS)}")
    check = actions.add_parser("check", help="submit one tiny job of each kind")
    check.add_argument("--profile", default=LOCAL, help="a shipped profile, or a file (default: %(default)s)")
    check.add_argument("--device", choices=("cpu", "cuda"), default="cuda", help="as in 'run' (default: %(default)s)")
    check.add_argument("--timeout", default="10min", metavar="TIME", help="time to wait (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    if arguments.action == "profile":
        print((FOLDER / f"{arguments.scheduler}.yaml").read_text(encoding="utf-8"), end="")
        return 0
    if arguments.action == "setup":
        return _setup(arguments)
    from nnunet_tricks.experiment.cluster.check import check
    from nnunet_tricks.experiment.cluster.profile import read_profile

    return check(read_profile(arguments.profile), device=arguments.device, patience=seconds_in(arguments.timeout))


def _setup(arguments: argparse.Namespace) -> int:
    unknown = [name for name in arguments.schedulers if name not in SCHEDULERS]
    if unknown:
        raise ValueError(f"SCHEDULER must be one of {', '.join(SCHEDULERS)}, got '{unknown[0]}'")
    environment = Environment(arguments.folder.expanduser().absolute()) if arguments.folder else Environment.usual()
    done = environment.install(arguments.schedulers, python=arguments.python)
    print(
        f"Snakemake for {', '.join(environment.schedulers)} is {'now' if done else 'already'} in {environment.folder}"
    )
    if environment != Environment.usual():
        print(f"Let 'nnunet-tricks run' find it there: export {VARIABLE}={environment.folder}")
    return 0
