"""A progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(
    items: Iterable[Item], *, total: int, done: int = 0, quiet: bool = False, verb: str = "converted"
) -> Iterator[Item]:
    """Yield items, and show the progress on stderr.

    Args:
        items: The remaining items.
        total: Number of items in all.
        done: Number of items that were done before.
        quiet: Show nothing.
        verb: Past tense of the work on an item.
    """
    if quiet:
        yield from items
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(verb, total=total, completed=done)
            for item in items:
                yield item
                bar.advance(task)
    else:
        # Log files of clusters: about ten lines for any number of items.
        step = max(total // 10, 1)
        for number, item in enumerate(items, start=done + 1):
            yield item
            if number % step == 0 or number == total:
                print(f"{verb} {number} of {total}", file=sys.stderr, flush=True)
