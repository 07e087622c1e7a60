"""Where files of the repository stand on the site, and links between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from nnunet_tricks.comparison.ledger.rows import IN_CHECKOUT

ROOT = Path(__file__).resolve().parents[1]

ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files at the root of the repository that are pages too. What the README says is on the home page."""

_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(\))")
_SHOWN = (".md", ".yaml", ".json", ".jsonl", ".csv", ".tex", ".html", ".png", ".log", ".py", "SHA256SUMS")
"""Endings of files of experiments that pages link to."""


def place_of(file: str) -> str:
    """Where a file of the repository stands on the site.

    Args:
        file: Path from the root of the repository, with ``/``.

    Examples:
        >>> place_of("docs/losses.md"), place_of("experiments/README.md"), place_of("CONTRIBUTING.md")
        ('losses.md', 'experiments/README.md', 'contributing.md')
    """
    return ROOT_PAGES.get(file) or file.removeprefix("docs/")


def with_links(text: str, file: str) -> str:
    """A page whose links to files of the repository lead to their places on the site.

    Args:
        text: Page in Markdown.
        file: Path of the page from the root of the repository.

    Examples:
        >>> with_links("[how](../CONTRIBUTING.md#adding-a-trick)", "docs/tricks.md")
        '[how](contributing.md#adding-a-trick)'
    """
    here = dirname(place_of(file))

    def moved(link: re.Match[str]) -> str:
        opening, target, anchor, closing = link.groups()
        place = place_of(normpath(join(dirname(file), target)))
        return f"{opening}{relpath(place, here or '.')}{anchor or ''}{closing}"

    return _LINK.sub(moved, text)


def other_files() -> Iterator[str]:
    """Files outside ``docs/`` that stand on the site: root pages, the ledger, experiments and results of benchmarks."""
    yield IN_CHECKOUT.as_posix()
    yield from (name for name in ROOT_PAGES if name != "README.md" and (ROOT / name).is_file())
    for folder in ("experiments", "benchmarks/results"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and file.name.endswith(_SHOWN):
                yield file.relative_to(ROOT).as_posix()
