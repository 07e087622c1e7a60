"""``nnunet-tricks list``: the tricks, by phase."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from math import inf
from statistics import fmean
from typing import Any

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.catalogue.info import HOOKS, PHASES, TrickInfo
from nnunet_tricks.utilities.terminal import BOLD, LEAST, styled, table_lines, width, wrapped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "List the tricks by phase. A terminal gets columns in its width; a file or a pipe gets one line for each "
        "trick, with name, part of nnU-Net and effect."
    )
    parser.add_argument("pattern", nargs="?", default="*", help="only matching names, such as 'Dice*'; case is ignored")
    parser.add_argument(
        "--phase", metavar="WORD", help=f"only this phase: {', '.join(PHASES)}; the first letters are enough"
    )
    parser.add_argument("--hook", choices=HOOKS, help="only tricks that claim this part of nnU-Net")
    parser.add_argument(
        "--for",
        dest="challenge",
        metavar="PROBLEM",
        help="only tricks for this problem, such as class-imbalance, with the papers' results, best first",
    )
    parser.add_argument("--json", action="store_true", help="print the tricks as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the matching tricks."""
    if arguments.challenge is not None:
        _check_challenge(arguments.challenge)
    tricks = [info for info in EVERYTHING if _fits(info, arguments)]
    if arguments.challenge is not None:
        tricks.sort(key=_mean_delta, reverse=True)
    if arguments.json:
        print(json.dumps([as_data(info) for info in tricks], indent=2))
        return 0
    if not tricks:
        raise ValueError("no trick matches all of these; 'nnunet-tricks list' shows every trick")
    columns = width()
    for phase in PHASES:
        rows = [info for info in tricks if info.phase == phase]
        if rows:
            print(styled(phase, BOLD))
            print(*_lines(rows, tricks, columns, with_deltas=bool(arguments.challenge)), sep="\n")
    print()
    if any(not info.command for info in tricks):
        usage = "nnUNetv2_train DATASET CONFIGURATION FOLD -tr nnUNetTrainer<Name>"
        print(*wrapped(usage, columns, rest="    "), sep="\n")
    for verb in dict.fromkeys(info.command.partition(" ")[0] for info in tricks if info.command):
        names = [info.name for info in tricks if info.command.startswith(f"{verb} ")]
        line = f"nnunet-tricks {verb}, after training: {', '.join(names)}"
        print(*wrapped(line, min(79, columns or 79), rest="    "), sep="\n")
    print("'nnunet-tricks show Name' shows more.")
    if arguments.challenge:
        for sentence in (
            "Numbers: points of Dice that a trick adds to a paper's bare baseline,",
            "mean (range) over data sets.",
        ):
            print(*wrapped(sentence, columns), sep="\n")
    return 0


def _lines(
    rows: Sequence[TrickInfo], tricks: Sequence[TrickInfo], columns: int | None, *, with_deltas: bool
) -> list[str]:
    """Lines for the tricks of one phase.

    Args:
        rows: The tricks.
        tricks: All tricks that are shown, whose columns are as wide.
        columns: Width of the terminal; None for a file or a pipe, where each trick has one line.
        with_deltas: Whether the papers' results are a column.
    """
    name_size = max(len(info.name) for info in tricks)
    hooks_size = max(len(_hooks(info)) for info in tricks)
    deltas_size = 24 if with_deltas else 0
    # The part of nnU-Net is the first to go where sentences have no room.
    with_hooks = columns is None or 8 + name_size + hooks_size + deltas_size + LEAST <= columns
    table = []
    for info in rows:
        row = [f"{info.name:{name_size}}"]
        row += [f"{_hooks(info):{hooks_size}}"] if with_hooks else []
        row += [f"{_deltas(info):24}"] if with_deltas else []
        table.append((*row, info.summary))
    if columns is None:
        return ["  " + "  ".join(row) for row in table]
    return table_lines(table, columns)


def _hooks(info: TrickInfo) -> str:
    """The parts of nnU-Net that a trick claims; just ``base`` for a base, which claims most."""
    return "base" if info.base else ", ".join(dict.fromkeys(hook.partition(".")[0] for hook in info.hooks))


def as_data(info: TrickInfo) -> dict[str, Any]:
    """A catalogue entry as plain data."""
    return {
        "name": info.name,
        **({"command": f"nnunet-tricks {info.command}"} if info.command else {"trainer": info.trainer}),
        "phase": info.phase,
        "hooks": info.hooks,
        "summary": info.summary,
        "formula": info.formula,
        "parameters": [
            {"name": p.name, "default": p.default, "allowed": p.allowed, "help": p.help} for p in info.parameters
        ],
        "dimensions": info.dimensions,
        "packages": info.packages,
        "licence": info.licence,
        "paper": info.paper.short,
        "challenges": info.challenges,
        "measured": [vars(measurement) for measurement in info.measured],
    }


def problems() -> list[str]:
    """All problems that tricks are for, as ``--for`` takes them."""
    return sorted({_dashed(word) for info in EVERYTHING for word in info.challenges})


def _check_challenge(challenge: str) -> None:
    known = problems()
    if _dashed(challenge) not in known:
        near = get_close_matches(_dashed(challenge), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"--for must be one of {', '.join(known)}, got '{challenge}'{hint}")


def _mean_delta(info: TrickInfo) -> float:
    """Mean of the papers' results; minus infinity if there are none, so that they come last."""
    return fmean(measured.delta for measured in info.measured) if info.measured else -inf


def _deltas(info: TrickInfo) -> str:
    """Mean and range of the papers' results in short."""
    if not info.measured:
        return "-"
    deltas = [measured.delta for measured in info.measured]
    return f"{fmean(deltas):+.2f} ({min(deltas):+.2f} to {max(deltas):+.2f})"


def _fits(info: TrickInfo, arguments: argparse.Namespace) -> bool:
    return (
        fnmatchcase(info.name.casefold(), arguments.pattern.casefold())
        and (arguments.phase is None or any(end.startswith(_joined(arguments.phase)) for end in _ends(info.phase)))
        and (arguments.hook is None or any(hook.partition(".")[0] == arguments.hook for hook in info.hooks))
        and (arguments.challenge is None or _dashed(arguments.challenge) in map(_dashed, info.challenges))
    )


def _ends(phase: str) -> list[str]:
    """The ends of a phase, from each of its words on, so that 'model imp' and 'postprocessing' both match."""
    words = _joined(phase).split(" ")
    return [" ".join(words[start:]) for start in range(len(words))]


def _joined(phase: str) -> str:
    return phase.casefold().replace("-", "")


def _dashed(words: str) -> str:
    """A problem as a word that no shell wants in quotes.

    Examples:
        >>> _dashed("redoing a paper's table")
        'redoing-a-papers-table'
    """
    return words.casefold().replace(" ", "-").replace("'", "")
