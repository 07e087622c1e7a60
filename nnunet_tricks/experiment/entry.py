"""YAML in which every value knows its line, so that every error can name it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 1_000_000
MOST_VALUES = 20_000
"""Nobody writes a file with more values by hand, but aliases of aliases make millions from ten lines."""

TAG = "tag:yaml.org,2002:"
NUMBER = re.compile(r"[-+]?\d+")
"""How whole numbers are written. YAML 1.1 also takes 1:30 for 90, 0x10 for 16 and 1_0 for 10."""


LONGEST = 18
"""Most digits of a number."""


class SpecError(ValueError):
    """Something in an experiment file is wrong; the message begins with file and line."""


@dataclass(frozen=True)
class Entry:
    """A value of a YAML file.

    Attributes:
        file: The YAML file.
        line: Number of the line, from 1.
        what: Name of the value in error messages.
        value: A scalar, a list of entries, or a mapping of names to entries.
        written: Text of a scalar exactly as in the file; empty for lists and mappings.
    """

    file: Path
    line: int
    what: str
    value: Any
    written: str = ""

    def error(self, message: str) -> SpecError:
        """An error to raise: ``message`` after file and line."""
        return SpecError(f"{self.file}, line {self.line}: {message}")

    def text(self) -> str:
        """The value as it is written: YAML would read 007, no and 2026-01-31 as something else."""
        if self.value is None or isinstance(self.value, list | dict):
            raise self.error(f"{self.what} must be a word or a number, got {self._kind()}")
        return self.written or str(self.value)

    def whole(self, *, least: int) -> int:
        """The value as a whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < least:
            got = f"'{self.value}'" if isinstance(self.value, str) else self._kind()
            hint = (
                "; write it in plain digits, such as 90" if re.match(r"[-+]?\d", self.written) and got[0] == "'" else ""
            )
            raise self.error(f"{self.what} must be a whole number from {least} on, got {got}{hint}")
        return self.value

    def flag(self) -> bool:
        """The value as true or false."""
        if not isinstance(self.value, bool):
            got = f"'{self.value}'" if isinstance(self.value, str) else self._kind()
            raise self.error(f"{self.what} must be true or false, got {got}")
        return self.value

    def choice(self, allowed: Collection[str]) -> str:
        """The value as one of the allowed words."""
        word = self.text()
        if word not in allowed:
            raise self.error(f"{self.what} must be one of {', '.join(allowed)}, got '{word}'{nearest(word, allowed)}")
        return word

    def items(self) -> list[Entry]:
        """The value as a list that is not empty; a single value becomes a list of one."""
        entries: list[Entry] = self.value if isinstance(self.value, list) else [self]
        if not entries or self.value is None:
            raise self.error(f"{self.what} is empty: name at least one")
        return entries

    def fields(self, allowed: Collection[str] | None = None) -> dict[str, Entry]:
        """The value as a mapping without other keys than the allowed ones."""
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
        return "nothing" if self.value is None else self.written or str(self.value)


def nearest(word: str, allowed: Collection[str]) -> str:
    """A question that suggests the nearest allowed word; empty if none is near.

    Examples:
        >>> nearest("epoch", ["epochs", "folds"])
        "; did you mean 'epochs'?"
    """
    close = get_close_matches(word, allowed, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def read(file: Path) -> Entry:
    """A YAML file.

    Raises:
        SpecError: If it is not YAML, has a key twice, or is far too large.
        OSError: If it cannot be read.
    """
    if file.stat().st_size > MOST_BYTES:
        raise SpecError(f"{file}, line 1: the file has {file.stat().st_size} bytes, at most {MOST_BYTES} are read")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{file}: not a text file in UTF-8 ({error.reason})") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise SpecError(f"{file}, line 1: the file is empty")
        return _EntryReader(file).entry(root, "the file", ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n") + 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{file}, line {line}: not valid YAML: {problem}") from error
    except RecursionError as error:
        raise SpecError(f"{file}, line 1: lists or mappings are nested too deeply") from error


@dataclass
class _EntryReader:
    """Turns nodes of YAML into entries, and counts them.

    Attributes:
        file: The YAML file.
        count: Number of entries so far; each use of an alias counts.
    """

    file: Path
    count: int = field(default=0, init=False)

    def entry(self, node: yaml.Node, what: str, above: tuple[yaml.Node, ...]) -> Entry:
        """The entry of a node, and of all below it."""
        line = node.start_mark.line + 1
        if node in above:
            raise SpecError(f"{self.file}, line {line}: {what} contains itself")
        self.count += 1
        if self.count > MOST_VALUES:
            raise SpecError(
                f"{self.file}, line {line}: the file has more than {MOST_VALUES} values, counting each use of an alias "
                "('*name'): write the values out instead"
            )
        above = (*above, node)
        if isinstance(node, yaml.SequenceNode):
            return Entry(self.file, line, what, [self.entry(item, what, above) for item in node.value])
        if isinstance(node, yaml.MappingNode):
            return Entry(self.file, line, what, self._fields(node, what, above))
        scalar: yaml.ScalarNode = node
        return Entry(self.file, line, what, self._scalar(scalar, what), str(node.value))

    def _fields(self, node: yaml.MappingNode, what: str, above: tuple[yaml.Node, ...]) -> dict[str, Entry]:
        fields: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError(f"{self.file}, line {line}: a key of {what} must be a word, not a list or a mapping")
            if key_node.tag == f"{TAG}merge":
                raise SpecError(
                    f"{self.file}, line {line}: '<<' is not supported: write out the keys that it stands for"
                )
            if key in fields:
                raise SpecError(
                    f"{self.file}, line {line}: '{key}' appears twice in {what}, first in line {fields[key].line}"
                )
            entry = self.entry(value_node, f"'{key}'", above)
            # An error in a value on a line of its own names the line of its key.
            fields[key] = Entry(self.file, line, entry.what, entry.value, entry.written)
        return fields

    def _scalar(self, node: yaml.ScalarNode, what: str) -> Any:
        is_plain = node.style is None and node.tag in (f"{TAG}int", f"{TAG}str")
        if is_plain and NUMBER.fullmatch(node.value) and len(node.value) <= LONGEST:
            return int(node.value)  # YAML 1.1 takes 027 for octal, another data set, and 09 for a word
        try:
            if len(node.value) > LONGEST and NUMBER.fullmatch(node.value):
                return str(node.value)
            value = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError) as error:
            line = node.start_mark.line + 1
            raise SpecError(f"{self.file}, line {line}: {what} cannot be read: {str(error).splitlines()[0]}") from error
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # 1:30 is 90 for YAML 1.1, and something else for whoever wrote it.
        is_odd = is_number and (isinstance(value, int) or ":" in node.value)
        return str(node.value) if is_odd else value
