"""What MkDocs calls while it builds: adds the pages that are written from the code, and their pictures."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# MkDocs loads this file by its path. Last, so that "import nnunet_tricks" finds the installed package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from nnunet_tricks.catalogue import EVERYTHING
from website.autolinks import with_generated_links
from website.formulas import FormulaExtension
from website.pages import tricks
from website.pages.home import home_addition
from website.pictures.cached import DrawnPictures, draw_all
from website.places import ROOT, other_files, place_of, with_links
from website.site import copied_pages, generated_pages, with_generated

log = logging.getLogger("mkdocs.hooks.website")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation, and let Markdown typeset formulas."""
    config.nav = with_generated(config.nav or [])
    extensions: list[Any] = config.markdown_extensions
    extensions.append(FormulaExtension())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages, files of experiments, and pictures.

    A picture that could not be made is a warning, and its page says so. With ``--strict`` the build fails.
    """
    drawn = draw_all(ROOT / ".cache" / "site")
    for place, failure in drawn.failures.items():
        log.warning(f"The picture {place} could not be made: {failure}")
    for file in _added(config, drawn):
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links of ``docs/`` to where things are on the site, and add links to generated pages."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]
    source = Path(page.file.abs_src_path or "")
    docs = Path(config.docs_dir)
    if not source.is_relative_to(docs):
        return markdown
    place = page.file.src_uri
    text = markdown + home_addition() if page.is_homepage else markdown
    return with_generated_links(with_links(text, f"docs/{place}"), place)


def _added(config: MkDocsConfig, drawn: DrawnPictures) -> Iterator[File]:
    pages = dict(generated_pages()) | dict(copied_pages())
    for info in EVERYTHING:
        pages[tricks.page_of(info)] = tricks.trick_page(info, drawn.failures.get(tricks.picture_of(info), ""))
    for place, content in pages.items():
        yield File.generated(config, place, content=content)
    for place, png in drawn.files.items():
        yield File.generated(config, place, content=png)
    for name in other_files():
        if not name.endswith(".md"):
            yield File.generated(config, place_of(name), abs_src_path=str(ROOT / name))
