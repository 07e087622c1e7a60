"""Text in the width that a terminal has. Standard library only, and little of it: ``list`` must start at once."""

from __future__ import annotations

import codecs
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import TextIO

USUAL = 80
"""Columns of a terminal that does not say how wide it is."""

LEAST = 32
"""Columns that the last column of a table needs; a narrower one stands below the others."""

BOLD, RED, GREEN, YELLOW = "1", "31", "32", "33"

_ASCII = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\u2500", "-"),
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("\u201c\u201d", '"'),
    **{"\u2026": "...", "\u00d7": "x", "\u00b5": "u", "\u03bc": "u", "\u00df": "ss", "\u00f8": "o", "\u00d8": "O"},
    **{"\u0142": "l", "\u0141": "L", "\u00e6": "ae", "\u00b1": "+-", "\u2264": "<=", "\u2265": ">=", "\u2192": "->"},
}
"""What stands for characters that are no letter with an accent."""


def width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that a stream writes to; None for a file or a pipe.

    Args:
        stream: Stream with a file descriptor; None for standard output.
    """
    stream = sys.stdout if stream is None else stream
    if stream is None or not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def wrapped(text: str, columns: int | None, *, first: str = "", rest: str = "") -> list[str]:
    """Lines of whole words.

    Args:
        text: Words. A longer one than a line has a line of its own, further to the left where that helps. A path
            that does not fit even there is broken after a slash. A name is broken as ``name_lines`` does it.
        columns: Longest line; None for a single line, however long.
        first: Text before the first line.
        rest: Text before all others.

    Examples:
        >>> wrapped("cross-entropy with --weights", 14, first="- ", rest="  ")
        ['- cross-entropy', '  with', '  --weights']
        >>> wrapped("cross-entropy with --weights", None, first="- ")
        ['- cross-entropy with --weights']
        >>> wrapped("see experiments/blocks", 20, first="        ", rest="        ")
        ['        see', '  experiments/blocks']
        >>> wrapped("see experiments/blocks", 14)
        ['see', 'experiments/', 'blocks']
    """
    if columns is None:
        return [first + text]
    room = columns - max(len(first), len(rest))
    words = (
        "\n".join(name_lines(word, room)) if len(word) > room and "/" not in word else word for word in text.split()
    )
    lines = textwrap.wrap(
        " ".join(words),
        columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part for line in lines for part in _within(line, columns)] or [first.rstrip()]


def _within(line: str, columns: int) -> list[str]:
    """A line with a single word, further to the left where it would end beyond the edge; a path in several lines."""
    word = line.strip()
    if len(line) <= columns or " " in word:
        return [line]
    if len(word) <= columns or "://" in word:
        return [" " * max(columns - len(word), 0) + word]
    parts = [""]
    for name in re.findall(r"[^/]*/|[^/]+$", word):
        if parts[-1] and len(parts[-1]) + len(name) > columns:
            parts.append("")
        parts[-1] += name
    return parts


def say(text: str, *, first: str = "", rest: str = "") -> None:
    """Print a sentence on standard output: in whole words at a terminal, as one line in a file or a pipe.

    Args:
        text: The sentence.
        first: Text before the first line.
        rest: Text before all others.
    """
    print(*wrapped(text, width(), first=first, rest=rest), sep="\n")


def command_lines(command: str, columns: int | None, *, first: str = "", rest: str = "") -> list[str]:
    r"""Lines of a command that still run when they are copied: all but the last end with a backslash.

    Args:
        command: Words for a shell; what stands in quotes is not broken.
        columns: Longest line; None for a single line.
        first: Text before the first line.
        rest: Blanks before all others.

    Examples:
        >>> print(*command_lines("nnUNetv2_train 501 2d 0 -tr 'my trainer'", 24, rest="    "), sep="\n")
        nnUNetv2_train 501 2d \
            0 -tr 'my trainer'
    """
    if columns is None or len(first) + len(command) <= columns:
        return [first + command]
    lines = [first]
    for word in re.findall(r"""(?:'[^']*'|"[^"]*"|[^\s'"]|['"])+""", command):
        blank = " " if lines[-1].strip() and lines[-1] != first else ""
        if blank and len(lines[-1]) + 1 + len(word) + len(" \\") > columns:
            # A long word goes further to the left rather than over the edge.
            lines.append(rest[: max(columns - len(word) - len(" \\"), 0)])
            blank = ""
        lines[-1] += blank + word
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def name_lines(name: str, columns: int) -> list[str]:
    """Parts of a long name or key, broken behind slashes and before underscores and blanks.

    A part that is still too long is broken before its capitals.

    Examples:
        >>> name_lines("nnUNetTrainerTversky_alpha0p2_5epochs__nnUNetPlans__2d/fold_0/train", 30)
        ['nnUNetTrainerTversky_alpha0p2', '_5epochs__nnUNetPlans__2d/', 'fold_0/train']
        >>> name_lines("nnUNetTrainerNoDeepSupervision_run2 (collapsed)", 17)
        ['nnUNetTrainerNo', 'DeepSupervision', '_run2 (collapsed)']
    """
    lines = [""]
    for folder in re.findall(r"[^/]*/+|[^/]+", name):
        for part in _parts(folder, columns):
            if lines[-1] and len(lines[-1]) + len(part) > columns:
                lines.append("")
            lines[-1] += part if lines[-1] else part.lstrip()
    return [line for line in lines if line]


def _parts(folder: str, columns: int) -> Iterator[str]:
    """A folder as one part if it fits into any line, else the parts of its name."""
    if len(folder) <= columns:
        yield folder
        return
    for part in re.findall(r"[_ ]*[^_ ]+|[_ ]+$", folder):
        yield from [part] if len(part) <= columns else re.split(r"(?<=[a-z0-9])(?=[A-Z])", part)


def table_lines(rows: Sequence[Sequence[str]], columns: int, *, indent: str = "  ") -> list[str]:
    """Rows in columns of which the last holds sentences.

    Sentences are wrapped inside their column. If that is narrower than ``LEAST``, they stand below their row.

    Args:
        rows: Cells, as many in each row.
        columns: Longest line.
        indent: Blanks before each row.

    Examples:
        >>> rows = [("CE", "cross-entropy alone, without the Dice term"), ("Dice", "soft Dice alone")]
        >>> print(*table_lines(rows, 44), sep="|")
          CE    cross-entropy alone, without the|        Dice term|  Dice  soft Dice alone
        >>> print(*table_lines(rows, 30), sep="|")
          CE|      cross-entropy alone,|      without the Dice term|  Dice|      soft Dice alone
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)][:-1]
    lines = []
    for row in rows:
        head = indent + "".join(f"{cell:{size}}  " for cell, size in zip(row, widths, strict=False))
        if len(head) + LEAST <= columns:
            lines += wrapped(row[-1], columns, first=head, rest=" " * len(head))
        else:
            below = f"{indent}    "
            lines += wrapped("  ".join(filter(None, row[:-1])), columns, first=indent, rest=below)
            lines += wrapped(row[-1], columns, first=below, rest=below)
    return lines


def styled(text: str, *styles: str) -> str:
    """The text with colours or in bold, where standard output shows them.

    ``NO_COLOR`` and terminals that call themselves dumb get plain text, and so do files and pipes.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb" or width() is None
    return text if plain else f"\x1b[{';'.join(styles)}m{text}\x1b[0m"


def accept_every_character(stream: TextIO | None = None) -> None:
    """Make a stream take characters that its encoding lacks: ASCII characters stand for them.

    Args:
        stream: Stream to change; None for standard output.
    """
    stream = sys.stdout if stream is None else stream
    if isinstance(stream, TextIOWrapper):
        codecs.register_error("nnunet_tricks.ascii", _in_ascii)
        stream.reconfigure(errors="nnunet_tricks.ascii")


def _in_ascii(error: UnicodeError) -> tuple[bytes, int]:
    """Encode what an encoding lacks: letters without their accents, bytes of file names as they were."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from unicodedata import normalize

    encoded = b""
    for character in error.object[error.start : error.end]:
        if "\udc80" <= character <= "\udcff":
            encoded += bytes([ord(character) & 0xFF])
        else:
            plain = _ASCII.get(character) or normalize("NFKD", character)
            encoded += plain.encode("ascii", "ignore") or b"?"
    return encoded, error.end
