"""Pages for people: short lines, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.checkout import ROOT

WIDTH = 160
PAGES = sorted(
    page.relative_to(ROOT)
    for page in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("experiments/*.md"),
        *ROOT.glob("experiments/*/README.md"),
    )
)


def without_generated_tables(text: str) -> str:
    return re.sub(r"<!-- (tricks|ledger): begin.*?<!-- \1: end -->", "", text, flags=re.S)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_lines_are_short(page: Path) -> None:
    lines = without_generated_tables((ROOT / page).read_text()).splitlines()
    too_long = [f"{page}:{number}: {line}" for number, line in enumerate(lines, 1) if len(line) > WIDTH]
    assert not too_long


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", (ROOT / page).read_text()):
        name, _, anchor = target.partition("#")
        file = ROOT / page.parent / name if name else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page} links to {target}"
