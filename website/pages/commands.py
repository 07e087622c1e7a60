"""A page for each command, written from its parser."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from textwrap import wrap
from typing import Any

from nnunet_tricks.cli import COMMANDS, GROUPS
from website.pages.tables import capitalized, table

FOLDER = "commands"
PROGRAM = "nnunet-tricks"
WIDTH = 78
"""Characters of a line of the usage."""


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, with all of its arguments."""
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {command}", description=capitalized(COMMANDS[command]))
    import_module(f"nnunet_tricks.commands.{command.replace('-', '_')}").add_arguments(parser)
    return parser


def page_of(command: str) -> str:
    """Place of a command's page on the site."""
    return f"{FOLDER}/{command}.md"


def navigation() -> list[Any]:
    """The pages of all commands, in the groups of ``--help``, as MkDocs takes them."""
    groups = [
        {capitalized(group).rstrip("."): [{command: page_of(command)} for command in below]}
        for group, below in GROUPS.items()
    ]
    return [{"Overview": f"{FOLDER}/index.md"}, *groups]


def index_page() -> str:
    """The page that lists all commands, in the groups of ``--help``."""
    groups = "\n\n".join(
        f"## {capitalized(group).rstrip('.')}\n\n"
        + table(("command", "what it does"), [(f"[`{name}`]({name}.md)", purpose) for name, purpose in below.items()])
        for group, below in GROUPS.items()
    )
    return (
        "# Commands\n\n"
        f"Everything is a sub-command of `{PROGRAM}`. To train and predict with tricks, use nnU-Net's own commands.\n"
        f"These pages are made from the commands' parsers: they say what `{PROGRAM} COMMAND --help` says.\n\n"
        f"{groups}\n\n"
        "## Exit codes\n\n"
        "0 for success, 1 where a command found something wrong, 2 for wrong arguments or input.\n"
        "`NNUNET_TRICKS_TRACEBACK=1` shows where an error came from.\n"
    )


def command_page(command: str) -> str:
    """The page of a command in Markdown."""
    return "\n\n".join([f"# {PROGRAM} {command}", *_sections(parser_of(command), level=2)]) + "\n"


def _sections(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    if parser.description:
        yield _escaped(parser.description)
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    lines = wrap(usage, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    yield "\n".join(["```text", *lines, "```"])
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if _is_shown(action)]
        if actions:
            title = group.title or "arguments"
            yield f"**{title[0].upper()}{title[1:]}**"
            if group.description:
                yield _escaped(group.description)
            yield table(("argument", "what it is"), [(_spelled(action), _help(action)) for action in actions])
    if parser.epilog:
        yield f"```text\n{parser.epilog.strip()}\n```" if "\n" in parser.epilog else _escaped(parser.epilog)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield f"{'#' * level} {name}"
                yield from _sections(below, level + 1)


def _is_shown(action: argparse.Action) -> bool:
    hidden = isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))
    return not hidden and action.help != argparse.SUPPRESS


def _spelled(action: argparse.Action) -> str:
    words = [action.metavar] if isinstance(action.metavar, str) else list(action.metavar or ())
    if not words and action.choices:
        words = ["{" + ",".join(map(str, action.choices)) + "}"]
    if not words and action.nargs != 0:
        words = [action.dest.upper() if action.option_strings else action.dest]
    value = " ".join(words)
    if action.nargs in ("*", "+") or (isinstance(action.nargs, int) and action.nargs > 1 and len(words) == 1):
        value += " ..."
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{option} {value}`" if value else f"`{option}`" for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%%", "%")
    if "%(" in text:
        text = (action.help or "") % {**vars(action), "prog": PROGRAM}
    return _escaped(text)


def _escaped(text: str) -> str:
    """Words of a terminal as Markdown: names with stars, underscores or brackets stay as they are."""
    return re.sub(r"([*_<>\[\]])", r"\\\1", re.sub(r"\s+", " ", text))
