"""Scripts for shells, written from the vocabulary of the command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnunet_tricks import __version__
from nnunet_tricks.commands.completion.vocabulary import CompletedCommand, CompletedFlag, ExpectedValue, commands

NNUNET_COMMANDS = (
    "nnUNetv2_train",
    "nnUNetv2_predict",
    "nnUNetv2_find_best_configuration",
    "nnUNetv2_accumulate_crossval_results",
    "nnUNetv2_export_model_to_zip",
)
"""Commands of nnU-Net that take trainers after ``-tr``."""


def script(shell: str) -> str:
    """The script for a shell.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
    """
    # Imported here, since the command line imports the commands.
    from nnunet_tricks.cli import COMMANDS, parser_of

    vocabulary = list(commands(parser_of(*COMMANDS)))
    tables = _fish(vocabulary) if shell == "fish" else _posix(vocabulary, described=shell == "zsh")
    frame = Path(__file__).with_name(f"frame.{shell}").read_text(encoding="utf-8")
    return (
        frame.replace("@VERSION@", __version__)
        .replace("@NNUNET@", " ".join(NNUNET_COMMANDS))
        .replace("@TABLES@\n", tables)
    )


def _posix(vocabulary: Sequence[CompletedCommand], *, described: bool) -> str:
    """Functions for bash and zsh that look up what a command has.

    Args:
        vocabulary: All commands.
        described: Whether words have descriptions, ``word:description``.
    """
    values = {
        f"{command.route} {spelling}": flag.value
        for command in vocabulary
        for flag in command.flags
        for spelling in flag.spellings
        if flag.value
    }
    values |= {command.route: command.value for command in vocabulary if command.value and command.route}
    routes = "|".join(shlex.quote(command.route) for command in vocabulary if command.route)
    lines = [
        "_nnunet_tricks_is_command() {",
        f'    case "$1" in {routes}) return 0 ;; esac',
        "    return 1",
        "}",
        *_lookup("values", {key: (_in_a_word(value),) for key, value in values.items()}),
        *_lookup(
            "subcommands", {c.route: _words(c.subcommands.items(), described) for c in vocabulary if c.subcommands}
        ),
        *_lookup("flags", {c.route: _words(_flags(c.flags), described) for c in vocabulary}),
    ]
    return "\n".join(lines) + "\n"


def _lookup(name: str, table: dict[str, Iterable[str]]) -> list[str]:
    """A function that sets ``answer`` to the words that a key has."""
    cases = [
        f"        {shlex.quote(key)}) answer=({' '.join(map(shlex.quote, words))}) ;;" for key, words in table.items()
    ]
    return [f"_nnunet_tricks_{name}() {{", "    answer=()", '    case "$1" in', *cases, "    esac", "}"]


def _in_a_word(value: ExpectedValue) -> str:
    """A value in one word for the frames: how many, which kind, and the allowed words."""
    return " ".join(("many" if value.many else "one", value.kind, *value.words))


def _flags(flags: Iterable[CompletedFlag]) -> Iterable[tuple[str, str]]:
    return ((spelling, flag.purpose) for flag in flags for spelling in flag.spellings)


def _words(pairs: Iterable[tuple[str, str]], described: bool) -> tuple[str, ...]:
    return tuple(f"{word}:{purpose}" if described else word for word, purpose in pairs)


def _fish(vocabulary: Sequence[CompletedCommand]) -> str:
    """A line of fish for each sub-command, flag and argument."""
    routes = " ".join(_quoted(command.route) for command in vocabulary if command.route)
    lines = [f"set -g __nnunet_tricks_commands {routes}"]
    for command in vocabulary:
        at = f"__nnunet_tricks_at {_quoted(command.route)}"
        here = f"complete -c nnunet-tricks -n {_quoted(at)}"
        for name, purpose in command.subcommands.items():
            lines.append(f"{here} -a {name} -d {_quoted(purpose)}")
        for flag in command.flags:
            spellings = " ".join(map(_fish_spelling, flag.spellings))
            value = f" {_fish_value(flag.value)}" if flag.value else ""
            lines.append(f"{here} {spellings}{value} -d {_quoted(flag.purpose)}")
            if flag.value and flag.value.many and (words := _fish_words(flag.value)):
                # To fish, all but the first value have no flag.
                behind = _quoted(f"{at}; and __nnunet_tricks_behind {' '.join(flag.spellings)}")
                lines.append(f"complete -c nnunet-tricks -n {behind} -a {words}")
        if command.value and command.value.kind == "files":
            lines.append(f"{here} -F")
        elif command.value and (words := _fish_words(command.value)):
            lines.append(f"{here} -a {words}")
    return "\n".join(lines) + "\n"


def _fish_spelling(spelling: str) -> str:
    """Old style, as fish calls it, are nnU-Net's flags of one dash and several letters."""
    if spelling.startswith("--"):
        return f"-l {spelling[2:]}"
    return f"-s {spelling[1:]}" if len(spelling) == 2 else f"-o {spelling[1:]}"


def _fish_value(value: ExpectedValue) -> str:
    """The options of fish's ``complete`` for a flag that takes a value."""
    if value.kind == "files":
        return "-r -F"
    words = _fish_words(value)
    return f"-x -a {words}" if words else "-x"


def _fish_words(value: ExpectedValue) -> str:
    """What fish offers for a value; empty if there is nothing to offer, or files."""
    if value.kind == "words":
        return _quoted(" ".join(value.words))
    return _quoted(f"(__nnunet_tricks_names {value.kind})") if value.kind in ("tricks", "trainers") else ""


def _quoted(text: str) -> str:
    r"""Text in the quotes of fish.

    Examples:
        >>> print(_quoted("nnU-Net's"))
        'nnU-Net\'s'
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
