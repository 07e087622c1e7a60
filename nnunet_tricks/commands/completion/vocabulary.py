"""What can be typed after ``nnunet-tricks``, read from the parsers of all commands."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nnunet_tricks.commands.list import problems

Kind = Literal["anything", "files", "words", "tricks", "trainers"]

TRICKS = {("list", "pattern"), ("show", "name"), ("conformance", "name")}
"""Arguments that take names of tricks, by command and destination."""

PROBLEM = ("list", "challenge")
"""Command and destination of the argument that takes a problem."""

LONGEST = 70
"""Characters of a description beside a completion."""


@dataclass(frozen=True)
class ExpectedValue:
    """What an argument takes.

    Attributes:
        kind: Kind of value.
        words: Allowed words, if it is one of some words.
        many: Whether several can follow each other.
    """

    kind: Kind
    words: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class CompletedFlag:
    """A flag of a command.

    Attributes:
        spellings: Its spellings, such as ``-o`` and ``--out``.
        purpose: Short description.
        value: Value that it takes; None for a switch.
    """

    spellings: tuple[str, ...]
    purpose: str
    value: ExpectedValue | None


@dataclass(frozen=True)
class CompletedCommand:
    """A command or sub-command.

    Attributes:
        route: Words that lead to it, such as ``annotate select``; empty for ``nnunet-tricks`` itself.
        purpose: Short description.
        subcommands: Names and purposes of its sub-commands.
        flags: Flags that it has.
        value: Value of its arguments without a flag; None if it has none.
    """

    route: str
    purpose: str
    subcommands: dict[str, str]
    flags: tuple[CompletedFlag, ...]
    value: ExpectedValue | None


def commands(parser: argparse.ArgumentParser, route: str = "", purpose: str = "") -> Iterator[CompletedCommand]:
    """A parser and all below it.

    Args:
        parser: Parser of a command.
        route: Words that lead to it.
        purpose: What it is for.
    """
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS or action.choices]
    flags = tuple(
        CompletedFlag(tuple(action.option_strings), _purpose(action, parser), _value(route, action))
        for action in actions
        if action.option_strings
    )
    children = next((action for action in actions if isinstance(action, argparse._SubParsersAction)), None)
    purposes = {pseudo.dest: str(pseudo.help) for pseudo in children._get_subactions()} if children else {}
    places = [_value(route, action) for action in actions if not action.option_strings and action is not children]
    yield CompletedCommand(
        route, _short(purpose), {name: _short(text) for name, text in purposes.items()}, flags, _joined(places)
    )
    for name, child in (children.choices if children else {}).items():
        yield from commands(child, f"{route} {name}".strip(), purposes.get(name, ""))


def _value(route: str, action: argparse.Action) -> ExpectedValue | None:
    if action.nargs == 0:
        return None
    many = action.nargs is not None and action.nargs != "?"
    choices = problems() if (route, action.dest) == PROBLEM else action.choices
    if choices is not None:
        # Without those that a shell would want in quotes.
        return ExpectedValue("words", tuple(word for word in map(str, choices) if shlex.quote(word) == word), many)
    if action.metavar == "TRAINER" or "-tr" in action.option_strings:
        return ExpectedValue("trainers", many=many)
    if (route, action.dest) in TRICKS:
        return ExpectedValue("tricks", many=many)
    return ExpectedValue("files" if action.type is Path else "anything", many=many)


def _joined(values: Sequence[ExpectedValue | None]) -> ExpectedValue | None:
    """What any of the arguments without a flag takes: shells do not count which of them it is."""
    taken = [value for value in values if value is not None]
    known = [value for value in taken if value.kind != "anything"]
    return next(iter(known or taken), None)


def _purpose(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    values: dict[str, Any] = {**vars(action), "prog": parser.prog}
    return _short((action.help or "") % values)


def _short(text: str) -> str:
    return textwrap.shorten(text.partition(";")[0], LONGEST, placeholder=" ...")
