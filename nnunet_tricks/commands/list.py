"""``nnunet-tricks list``: the tricks, by phase."""

from __future__ import annotations

import argparse
import json
from fnmatch import fnmatchcase
from typing import Any

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.trick_info import HOOKS, PHASES, TrickInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``list`` takes."""
    parser.add_argument("pattern", nargs="?", default="*", help="only names that fit, such as 'Dice*'; case is ignored")
    parser.add_argument("--phase", metavar="WORD", help=f"only this phase: {', '.join(PHASES)}; its beginning will do")
    parser.add_argument("--hook", choices=HOOKS, help="only tricks that claim this part of nnU-Net")
    parser.add_argument("--for", dest="challenge", help="only tricks for this problem, such as class-imbalance")
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace) -> int:
    """Print the tricks that fit."""
    tricks = [info for info in CATALOGUE if _fits(info, arguments)]
    if arguments.json:
        print(json.dumps([as_data(info) for info in tricks], indent=2))
        return 0
    if not tricks:
        problems = sorted({_dashed(challenge) for info in CATALOGUE for challenge in info.challenges})
        raise ValueError(f"no trick fits; 'nnunet-tricks list' shows all, --for knows {', '.join(problems)}")
    width = max(len(info.name) for info in tricks)
    for phase in PHASES:
        rows = [info for info in tricks if info.phase == phase]
        if rows:
            print(f"{phase}")
            for info in rows:
                print(f"  {info.name:{width}}  {', '.join(info.hooks):11}  {info.summary}")
    print("\nnnUNetv2_train DATASET CONFIGURATION FOLD -tr nnUNetTrainer<Name>; 'nnunet-tricks show Name' says more.")
    return 0


def as_data(info: TrickInfo) -> dict[str, Any]:
    """A catalogue entry as plain data."""
    return {
        "name": info.name,
        "trainer": info.trainer,
        "phase": info.phase,
        "hooks": info.hooks,
        "summary": info.summary,
        "formula": info.formula,
        "parameters": [
            {"name": p.name, "default": p.default, "allowed": p.allowed, "help": p.help} for p in info.parameters
        ],
        "paper": info.paper.short,
        "challenges": info.challenges,
        "measured": [vars(measurement) for measurement in info.measured],
    }


def _fits(info: TrickInfo, arguments: argparse.Namespace) -> bool:
    return (
        fnmatchcase(info.name.casefold(), arguments.pattern.casefold())
        and (arguments.phase is None or any(word.startswith(arguments.phase.casefold()) for word in _words(info.phase)))
        and (arguments.hook is None or any(hook.partition(".")[0] == arguments.hook for hook in info.hooks))
        and (arguments.challenge is None or _dashed(arguments.challenge) in map(_dashed, info.challenges))
    )


def _words(phase: str) -> list[str]:
    """The phase from each of its words on, so that 'model imp' and 'augmentation' both find theirs."""
    words = phase.split(" ")
    return [" ".join(words[start:]) for start in range(len(words))]


def _dashed(words: str) -> str:
    return words.casefold().replace(" ", "-")
