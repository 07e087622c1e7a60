"""Pages of the Python API, a page for each package; mkdocstrings fills them from docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from website.places import ROOT

FOLDER = "api"
PACKAGES = ("nnunet_tricks", "dataset_conversion")
LEFT_OUT = ("nnunet_tricks/commands", "nnunet_tricks/catalogue/entries", "nnunet_tricks/door/ext")
"""Packages that have pages of their own kind, and what nnU-Net alone imports."""


def packages() -> dict[str, list[str]]:
    """Modules of each package with a page, by the package's dotted name."""
    pages: dict[str, list[str]] = {}
    for root in PACKAGES:
        for init in sorted((ROOT / root).rglob("__init__.py")):
            folder = init.parent
            if not folder.relative_to(ROOT).as_posix().startswith(LEFT_OUT):
                modules = [_dotted(file) for file in sorted(folder.glob("*.py")) if not file.name.startswith("__")]
                if modules:
                    pages[_dotted(folder)] = modules
    return pages


def page_of(package: str) -> str:
    """Place of a package's page on the site."""
    return f"{FOLDER}/{package}.md"


def api_page(package: str, modules: list[str]) -> str:
    """The page of a package in Markdown."""
    return (
        "\n\n".join(
            [
                "---\nsearch:\n  exclude: true\n---",
                f"# {package}",
                f"::: {package}",
                *(f"::: {module}" for module in modules),
            ]
        )
        + "\n"
    )


def index_page() -> str:
    """The page that lists all packages."""
    lines = [f"- [`{package}`]({package}.md): {_first_line(package)}" for package in packages()]
    return (
        "# Python API\n\n"
        "These pages are made from docstrings. Most work needs none of this: nnU-Net's commands and"
        " `nnunet-tricks` are enough.\n"
        "To write a trick of your own, start with [write my own trick](../write_a_trick.md) and"
        " [`nnunet_tricks.training`](nnunet_tricks.training.md).\n\n" + "\n".join(lines) + "\n"
    )


def navigation() -> list[dict[str, str]]:
    """The pages of all packages, as MkDocs takes them."""
    return [{"Overview": f"{FOLDER}/index.md"}, *({package: page_of(package)} for package in packages())]


def _first_line(package: str) -> str:
    text = (ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    return text.split('"""')[1].split("\n")[0].strip() if '"""' in text else ""


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def all_pages() -> Iterator[tuple[str, str]]:
    """Place and content of every page."""
    yield f"{FOLDER}/index.md", index_page()
    for package, modules in packages().items():
        yield page_of(package), api_page(package, modules)
