"""Tables on a terminal: numbers and words stay whole, however narrow it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_tricks.comparison.text_table import PrintedTable
from nnunet_tricks.utilities.terminal import name_lines, width, wrapped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 10_000
"""Width in characters that no table exceeds."""

ROOM = 200
"""Width of tables in files and pipes."""

LINES = 24
"""Lines of a terminal; nothing here depends on them."""

NAME = 20
"""Width that the column of names gets before columns of numbers go into a table of their own."""


def console() -> Console:
    """Standard output, as wide as the terminal is. Files and pipes have room."""
    from rich.console import Console

    class Screen(Console):
        """A console that tells the command line of a reader who has seen enough."""

        def on_broken_pipe(self) -> None:
            # rich would end the process, and with an exit code that says "something is wrong".
            raise BrokenPipeError

    columns = width()
    # With a height, rich believes the width even of a terminal that calls itself dumb.
    terminal = Screen(
        width=columns,
        height=columns and LINES,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )
    return terminal if terminal.is_terminal else Screen(width=ROOM)


def draw(screen: Console, table: PrintedTable) -> None:
    """Print a table.

    Where it is too wide, the words of each number stand below each other. Where that is too wide, names are broken at
    their underscores. Where that is too wide, it becomes several tables with some of the columns each.

    Args:
        screen: Console to print on.
        table: The table. Its note follows, if it has one.
    """
    for part in _fitting(screen, table):
        screen.print(_drawing(part))
    for line in wrapped(table.note, screen.width, first="- ", rest="  ") if table.note else ():
        say(screen, line)


def say(screen: Console, text: str) -> None:
    """Print text as it is."""
    screen.print(text, highlight=False, markup=False, soft_wrap=True)


def _fitting(screen: Console, table: PrintedTable) -> Iterator[PrintedTable]:
    for candidate in (table, stacked := _stacked(table)):
        if _size(screen, candidate) <= screen.width:
            yield candidate
            return
    start, end = 1, len(table.header)
    while start < end:
        # As many columns as leave room for names, and one at least.
        count = end - start
        while count > 1 and _size(screen, _named(_columns(stacked, start, count), NAME)) > screen.width:
            count -= 1
        part = _columns(stacked, start, count)
        longest = max(len(row[0]) for row in part.rows) if part.rows else 0
        room = next((size for size in range(longest, 1, -1) if _size(screen, _named(part, size)) <= screen.width), NAME)
        part = _named(part, room)
        yield part if start == 1 else replace(part, title=f"{part.title}, continued")
        start += count


def _size(screen: Console, table: PrintedTable) -> int:
    from rich.measure import Measurement

    return Measurement.get(screen, screen.options.update(max_width=WIDE), _drawing(table, titled=False)).maximum


def _stacked(table: PrintedTable) -> PrintedTable:
    """The same table with the words of headings and cells below each other."""
    header = (table.header[0], *(_broken(word, "/") for word in table.header[1:]))
    return replace(table, header=header, rows=tuple((row[0], *map(_broken, row[1:])) for row in table.rows))


def _broken(cell: str, joint: str = "") -> str:
    """A cell of several lines: a list is broken behind its commas or other joints, a number with words between them."""
    if ", " in cell:
        return cell.replace(", ", ",\n")
    if joint and cell.count(joint) > 1:
        return cell.replace(joint, f"{joint}\n")
    return re.sub("(?<!to) (?!%)", "\n", cell)


def _columns(table: PrintedTable, start: int, count: int) -> PrintedTable:
    """The first column, and some of the others."""
    header, *rows = ((line[0], *line[start : start + count]) for line in (table.header, *table.rows))
    return replace(table, header=header, rows=tuple(rows))


def _named(table: PrintedTable, size: int) -> PrintedTable:
    """The same table with names in lines of a size."""
    rows = tuple(("\n".join(name_lines(row[0], size)), *row[1:]) for row in table.rows)
    return replace(table, rows=rows)


def _drawing(table: PrintedTable, *, titled: bool = True) -> Table:
    """A table of rich; only the names in its first column may be broken by it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # As Text: rich takes the brackets of a unit, [mm], for its markup.
    drawing = Table(title=Text(table.title) if titled else None, title_justify="left", box=box.SIMPLE_HEAD)
    for index, word in enumerate(table.header):
        drawing.add_column(Text(word), justify="right" if index else "left", no_wrap=bool(index), overflow="fold")
    for row in table.rows:
        drawing.add_row(*map(Text, row))
    return drawing
