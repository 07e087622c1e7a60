"""The command line, ``nnunet-tricks <command>``. Neither torch nor nnU-Net is imported before a command needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from nnunet_tricks import __version__

COMMANDS = {
    "demo": "the five-minute tour: a small data set, a training with a trick, predictions, a table",
    "list": "list the tricks",
    "show": "one trick: what it switches, its formula, parameters, paper and an example",
    "link": "let stock nnU-Net commands find our trainers",
    "unlink": "undo link",
    "env": "the environment variable that does what link does, where nothing may be installed",
    "doctor": "what works, what does not, and how to fix it",
    "weights": "pretrained weights: fetch or add them, list them, compare a file with a network",
    "plan": "add a configuration to a plans file, such as a small network for pilot studies",
    "preview-augmentation": "what a trainer's augmentation does to a patch of a data set: a picture of 16 draws",
    "show-ife": "which feature maps a model with IFE shows twice: a picture, and counts over a folder of images",
    "annotate": "which slices to annotate, data sets with sparse annotation, and masks in between",
    "predict": "predict with any trained model: test-time augmentation, thresholds, uncertainty",
    "ensemble": "combine several predictions into one: mean probabilities, or a vote",
    "postprocess": "keep the largest components, remove small ones, fill holes",
    "tune": "choose thresholds and post-processing for a trained model on some folds, and measure them on others",
    "export": "a trained model for colleagues who have nnU-Net, but not this package",
    "convert": "make nnU-Net raw data sets from ISIC 2018, CoNIC, KiTS19, LiTS and Cosmos55k",
    "check": "check a raw data set: files, pairs, geometry, labels, duplicates, leaks in its splits",
    "run": "run an experiment file: baseline and tricks on all folds, on this machine or as lines for a cluster",
    "cluster": "run on SLURM, LSF or Kubernetes: install Snakemake, print a profile, check that jobs work",
    "evaluate": "measure predictions: Dice, HD95, surface Dice, lesions, ... per case and class",
    "compare": "baseline and tricks side by side, from trained folds: means, differences, costs",
    "verify": "compute every number of a report again from its table, and say if one byte differs",
    "conformance": "run a trainer through every label mode and show where it fails",
}
"""Every command and its purpose; each has a module of its name in ``nnunet_tricks.commands``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``nnunet-tricks``; those of this process if not given.

    Returns:
        The exit code: 0 for success, 1 where a command found something wrong, 2 for wrong arguments or input.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(words[0] if words else "").parse_args(words or ["--help"])
    try:
        code = int(import_module(_module(arguments.command)).run(arguments))
        # Here, and not when Python ends, where a closed pipe would print an error.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader, a pager or head, has seen enough. Python would print an error when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if os.environ.get("NNUNET_TRICKS_TRACEBACK"):
            raise
        print(f"nnunet-tricks: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nnunet-tricks: interrupted", file=sys.stderr)
        return 130


def _parser(chosen: str) -> argparse.ArgumentParser:
    """The parser, with the arguments of the chosen command only, so that no other module is imported."""
    parser = argparse.ArgumentParser(
        prog="nnunet-tricks",
        description="Training tricks for nnU-Net v2.",
        epilog="'nnunet-tricks COMMAND --help' says more. NNUNET_TRICKS_TRACEBACK=1 shows where an error came from.",
    )
    parser.add_argument("--version", action="version", version=f"nnunet_tricks {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            import_module(_module(name)).add_arguments(command)
    return parser


def _module(command: str) -> str:
    return f"nnunet_tricks.commands.{command.replace('-', '_')}"


if __name__ == "__main__":
    sys.exit(main())
