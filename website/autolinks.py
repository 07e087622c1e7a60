"""Links to generated pages, which no page in ``docs/`` can have itself: there these pages do not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import dirname, relpath

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.cli import COMMANDS
from website.pages import api, commands, tricks

PHRASES = {
    "maps of all losses": tricks.OVERVIEW,
    "the Python API": f"{api.FOLDER}/index.md",
    "the keys of the file": "experiment_file.md",
    "the help of all commands": f"{commands.FOLDER}/index.md",
}
"""Words that are links on the site."""

OF_METRICS = frozenset({"metrics.md", "statistics.md", "compare.md", "report.md", "names.md"})
"""Pages in which ``Dice`` is a metric, or in which names are examples."""

_CODE = re.compile(r"(?<!\[)`([\w -]+)`(?!\])")
_FENCE = re.compile(r"^ *```")


def with_generated_links(text: str, place: str) -> str:
    """A page whose words for generated pages are links.

    Args:
        text: Page in Markdown.
        place: Its place on the site.

    Examples:
        >>> with_generated_links("Take `TverskyCE_alpha0p2`, and `nnunet-tricks run`.", "losses.md")
        'Take [`TverskyCE_alpha0p2`](tricks/TverskyCE.md), and [`nnunet-tricks run`](commands/run.md).'
    """
    return "\n".join(_lines(text, place))


def _lines(text: str, place: str) -> Iterator[str]:
    fenced = False
    for line in text.split("\n"):
        fenced ^= bool(_FENCE.match(line))
        yield line if fenced or line.startswith(("#", "```")) else _linked(line, place)


def _linked(line: str, place: str) -> str:
    here = dirname(place) or "."

    def code(found: re.Match[str]) -> str:
        page = _page_of(found.group(1), place)
        return f"[{found.group(0)}]({relpath(page, here)})" if page else found.group(0)

    line = _CODE.sub(code, line)
    for phrase, page in PHRASES.items():
        line = line.replace(phrase, f"[{phrase}]({relpath(page, here)})")
    return line


def _page_of(word: str, place: str) -> str:
    """The page that a word in code means; empty if none."""
    program, _, rest = word.partition(" ")
    if program == commands.PROGRAM:
        command = rest.partition(" ")[0]
        return commands.page_of(command) if command in COMMANDS else ""
    token = word.removeprefix("nnUNetTrainer").partition("_")[0]
    named = {info.name: info for info in EVERYTHING}
    return tricks.page_of(named[token]) if token in named and place not in OF_METRICS else ""
