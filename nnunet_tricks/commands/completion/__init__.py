"""``nnunet-tricks completion``: scripts that let the Tab key complete commands, flags and names.

A script holds all that the parsers know, so the shell answers by itself. Only for names of tricks and trainers it
starts this command, which imports the catalogue and nothing else.
"""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Print a script for your shell. With it the Tab key completes commands, flags, their values, and names of "
        "tricks and trainers, also after -tr of nnU-Net's own commands. bash and zsh: save it, and source it in "
        "~/.bashrc or ~/.zshrc. fish: save it in ~/.config/fish/conf.d. After an update of nnunet_tricks save it again."
    )
    parser.add_argument("shell", nargs="?", choices=SHELLS, help="shell that reads the script")
    parser.add_argument("--tricks", metavar="WORD", help="print the names of tricks that begin with WORD")
    parser.add_argument("--trainers", metavar="WORD", help="print the names of trainers that begin with WORD")


def run(arguments: argparse.Namespace) -> int:
    """Print a script, or names."""
    given = [word for word in (arguments.shell, arguments.tricks, arguments.trainers) if word is not None]
    if len(given) != 1:
        raise ValueError(f"completion needs a shell, one of {', '.join(SHELLS)}; or --tricks or --trainers alone")
    if arguments.shell:
        from nnunet_tricks.commands.completion import scripts

        print(scripts.script(arguments.shell), end="")
        return 0
    from nnunet_tricks.catalogue import continuation

    if arguments.tricks is None:
        completed = continuation.trainers(arguments.trainers)
    else:
        completed = continuation.tricks(arguments.tricks)
    print(*completed, sep="\n", end="\n" if completed else "")
    return 0
