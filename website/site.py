"""All pages of the site that are not in ``docs/``, and the navigation. Nothing here needs MkDocs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.cli import COMMANDS
from website.pages import api, commands, experiment_file, tricks
from website.places import ROOT, other_files, place_of, with_links

GENERATED: dict[str, Callable[[], list[Any]]] = {
    "generated: tricks": tricks.navigation,
    "generated: commands": commands.navigation,
    "generated: api": api.navigation,
}
"""Entries of the navigation in ``mkdocs.yml`` that stand for generated pages."""


def generated_pages() -> Iterator[tuple[str, str]]:
    """Place and content of each page that is written from the code, without those of tricks."""
    yield tricks.OVERVIEW, tricks.overview_page()
    yield f"{commands.FOLDER}/index.md", commands.index_page()
    for command in COMMANDS:
        yield commands.page_of(command), commands.command_page(command)
    yield experiment_file.PAGE, experiment_file.experiment_file_page()
    yield from api.all_pages()


def copied_pages() -> Iterator[tuple[str, str]]:
    """Place and content of each page that stands elsewhere in the repository."""
    for file in other_files():
        if file.endswith(".md"):
            yield place_of(file), with_links((ROOT / file).read_text(encoding="utf-8"), file)


def places() -> set[str]:
    """Places of all pages, also of those in ``docs/``."""
    written = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    trick_pages = {tricks.page_of(info) for info in EVERYTHING}
    made = {place for place, _ in generated_pages()} | {place for place, _ in copied_pages()}
    return written | trick_pages | made


def with_generated(navigation: list[Any]) -> list[Any]:
    """The navigation of ``mkdocs.yml`` with the generated pages in it.

    Args:
        navigation: Value of ``nav``.
    """
    expanded: list[Any] = []
    for entry in navigation:
        if isinstance(entry, str) and entry in GENERATED:
            expanded += GENERATED[entry]()
        elif isinstance(entry, dict):
            ((title, below),) = entry.items()
            expanded.append({title: with_generated(below) if isinstance(below, list) else below})
        else:
            expanded.append(entry)
    return expanded


def pages_in(navigation: list[Any]) -> list[str]:
    """Places of the pages in a navigation."""
    pages: list[str] = []
    for entry in navigation:
        values = entry.values() if isinstance(entry, dict) else [entry]
        for value in values:
            pages += pages_in(value) if isinstance(value, list) else [value]
    return pages
