"""The command line, ``nnunet-tricks <command>``. Neither torch nor nnU-Net is imported before a command needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from nnunet_tricks import __version__
from nnunet_tricks.utilities import terminal

CLOSED_PIPE = 141
"""Exit code if the reader of our output ends first, as shells report it for programs that SIGPIPE ends."""

GROUPS = {
    "start": {
        "demo": "the five-minute tour: data, a training, a table",
        "list": "list the tricks",
        "show": "one trick: what it changes, parameters, paper, example",
        "link": "let stock nnU-Net commands find our trainers",
        "unlink": "undo link",
        "env": "the variable that does what link does",
        "doctor": "what works, what does not, and how to fix it",
        "completion": "complete commands and names with the Tab key",
    },
    "train": {
        "weights": "pretrained weights: fetch, add, list, check",
        "pretext": "preprocess images without labels, to learn from",
        "ganaug": "train GANs on a fold, draw or translate images",
        "plan": "add a configuration or plans, such as a small network",
        "preview-augmentation": "a picture of what a trainer's augmentation does",
        "run": "run an experiment file: baseline and tricks, all folds",
        "conformance": "run a trainer through every label mode",
    },
    "data": {
        "convert": "raw data sets from ISIC, CoNIC, KiTS, LiTS, Cosmos55k",
        "check": "check a raw data set: pairs, geometry, labels, leaks",
        "merge": "one data set of several, of different classes",
        "split": "folds by patient, even in labels, and a test part",
        "advise": "tricks worth trying on your data, with reasons",
        "annotate": "which slices to annotate, and masks in between",
    },
    "trained models": {
        "diagnose": "why a training fails, and which trick to try",
        "predict": "predict with views, thresholds and uncertainty",
        "ensemble": "combine several predictions: a mean, or a vote",
        "postprocess": "keep large components, remove small, fill holes",
        "tune": "choose thresholds and steps, measured on other folds",
        "export": "a model for colleagues who have only nnU-Net",
        "show-ife": "which feature maps a model with IFE shows twice",
        "show-attention": "where gates and attention of a model look",
    },
    "compare": {
        "evaluate": "measure predictions: Dice, HD95, lesions and more",
        "compare": "baseline and tricks side by side, with verdicts",
        "verify": "compute every number of a report again",
        "ledger": "what each trick did on real data, and your reports",
    },
    "cluster": {
        "cluster": "SLURM, LSF or Kubernetes: set up, profile, check",
    },
}
"""Every command and its purpose, in the order of a project; each has a module in ``nnunet_tricks.commands``."""

COMMANDS = {name: purpose for commands in GROUPS.values() for name, purpose in commands.items()}
"""The same without groups."""

USAGE = "usage: "
"""What argparse writes before the usage."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``nnunet-tricks``; those of this process if not given.

    Returns:
        The exit code: 0 for success, 1 where a command found something wrong, 2 for wrong arguments or input, 141
        if the reader of the output ended first.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    terminal.accept_every_character()
    try:
        try:
            arguments = parser_of(words[0] if words else "").parse_args(words or ["--help"])
            return int(import_module(_module(arguments.command)).run(arguments))
        finally:
            # Here, and not when Python ends, where a closed pipe would print an error.
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        # The reader, a pager or head, has seen enough. Python would print an error when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except (ValueError, OSError) as error:
        if os.environ.get("NNUNET_TRICKS_TRACEBACK"):
            raise
        print(f"nnunet-tricks: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nnunet-tricks: interrupted", file=sys.stderr)
        return 130


def parser_of(*chosen: str) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        chosen: Commands that get their arguments; the modules of all others are not imported.
    """
    columns = terminal.width() or terminal.USUAL
    parser = argparse.ArgumentParser(
        prog="nnunet-tricks",
        usage=("\n" + " " * len(USAGE)).join(
            terminal.wrapped("nnunet-tricks [-h] [--version] COMMAND ...", columns - len(USAGE) - 1)
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_overview(columns - 1),
        epilog="\n".join(
            terminal.wrapped(
                "'nnunet-tricks COMMAND --help' says more. NNUNET_TRICKS_TRACEBACK=1 shows where an error came from.",
                columns - 1,
            )
        ),
    )
    parser.add_argument("--version", action="version", version=f"nnunet_tricks {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog=parser.prog, help=argparse.SUPPRESS
    )
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        if name in chosen:
            import_module(_module(name)).add_arguments(command)
    return parser


def _overview(columns: int) -> str:
    """All commands by what they are for."""
    size = max(map(len, COMMANDS))
    lines = ["Training tricks for nnU-Net v2."]
    for group, commands in GROUPS.items():
        rows = [(f"{name:{size}}", purpose) for name, purpose in commands.items()]
        lines += ["", terminal.styled(f"{group}:", terminal.BOLD), *terminal.table_lines(rows, columns)]
    return "\n".join(lines)


def _module(command: str) -> str:
    return f"nnunet_tricks.commands.{command.replace('-', '_')}"


if __name__ == "__main__":
    sys.exit(main())
