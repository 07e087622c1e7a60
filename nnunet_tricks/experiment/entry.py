"""YAML whose every value knows its line, so that every complaint can name it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml


class SpecError(ValueError):
    """Something in an experiment file is wrong; the message begins with file and line."""


@dataclass(frozen=True)
class Entry:
    """A value of a YAML file.

    Attributes:
        file: Where it stands.
        line: From 1.
        what: What to call it in a complaint.
        value: A scalar, a list of entries, or a mapping of names to entries.
    """

    file: Path
    line: int
    what: str
    value: Any

    def error(self, message: str) -> SpecError:
        """The complaint ``message``, to be raised, with file and line before it."""
        return SpecError(f"{self.file}, line {self.line}: {message}")

    def text(self) -> str:
        """It as one word or number, which YAML may have read as either."""
        if isinstance(self.value, bool) or not isinstance(self.value, str | int):
            raise self.error(f"{self.what} must be a word or a number, got {self._kind()}")
        return str(self.value)

    def whole(self, *, least: int) -> int:
        """It as a whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < least:
            got = f"'{self.value}'" if isinstance(self.value, str) else self._kind()
            raise self.error(f"{self.what} must be a whole number from {least} on, got {got}")
        return self.value

    def flag(self) -> bool:
        """It as true or false."""
        if not isinstance(self.value, bool):
            got = f"'{self.value}'" if isinstance(self.value, str) else self._kind()
            raise self.error(f"{self.what} must be true or false, got {got}")
        return self.value

    def choice(self, allowed: Collection[str]) -> str:
        """It as one of the allowed words."""
        word = self.text()
        if word not in allowed:
            raise self.error(f"{self.what} must be one of {', '.join(allowed)}, got '{word}'{nearest(word, allowed)}")
        return word

    def items(self) -> list[Entry]:
        """It as a list that is not empty; a single value is a list of one."""
        entries: list[Entry] = self.value if isinstance(self.value, list) else [self]
        if not entries or self.value is None:
            raise self.error(f"{self.what} is empty: name at least one")
        return entries

    def fields(self, allowed: Collection[str] | None = None) -> dict[str, Entry]:
        """It as a mapping, with no other keys than the allowed ones."""
        if not isinstance(self.value, dict):
            raise self.error(f"{self.what} must be a mapping ('key: value' lines), got {self._kind()}")
        for key, entry in self.value.items():
            if allowed is not None and key not in allowed:
                raise entry.error(
                    f"{self.what} has no key '{key}'{nearest(key, allowed)}; its keys are {', '.join(allowed)}"
                )
        return dict(self.value)

    def _kind(self) -> str:
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        return "nothing" if self.value is None else str(self.value)


def nearest(word: str, allowed: Collection[str]) -> str:
    """A question that offers the nearest allowed word, or nothing.

    Examples:
        >>> nearest("epoch", ["epochs", "folds"])
        "; did you mean 'epochs'?"
    """
    close = get_close_matches(word, allowed, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def read(file: Path) -> Entry:
    """A YAML file.

    Raises:
        SpecError: If it is no YAML, or has a key twice.
        OSError: If it cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{file}: not a text file in UTF-8 ({error.reason})") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n") + 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{file}, line {line}: not valid YAML: {problem}") from error
    if root is None:
        raise SpecError(f"{file}, line 1: the file is empty")
    return _entry(file, root, "the file", ())


def _entry(file: Path, node: yaml.Node, what: str, above: tuple[yaml.Node, ...]) -> Entry:
    line = node.start_mark.line + 1
    if node in above:
        raise SpecError(f"{file}, line {line}: {what} contains itself")
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        return Entry(file, line, what, [_entry(file, item, what, above) for item in node.value])
    if isinstance(node, yaml.MappingNode):
        fields: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key, key_line = str(key_node.value), key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError(f"{file}, line {key_line}: a key of {what} must be a word, not a list or a mapping")
            if key in fields:
                raise SpecError(
                    f"{file}, line {key_line}: '{key}' stands twice in {what}, first in line {fields[key].line}"
                )
            entry = _entry(file, value_node, f"'{key}'", above)
            # A value on a line of its own is complained about where its key stands.
            fields[key] = Entry(file, key_line, entry.what, entry.value)
        return Entry(file, line, what, fields)
    try:
        value = yaml.SafeLoader("").construct_object(node)
        if isinstance(value, int) and node.value.isdecimal():
            value = int(node.value)  # YAML 1.1 takes 027 for octal: another data set
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{file}, line {line}: {what} cannot be read: {str(error).splitlines()[0]}") from error
    return Entry(file, line, what, value)
