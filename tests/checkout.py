"""Where the checkout is, for tests of its documents, and how other processes import the tests without it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


IMPORT = f"import sys; sys.path.append({str(ROOT)!r})\n"
"""First line of a program that imports the tests. The installed package still comes first."""


def import_folder(folder: Path) -> Path:
    """A folder that has the tests and nothing else of the checkout, for a process that must import both.

    With the checkout itself on its path, a process would import the package from there and not as it was installed.
    """
    made = folder / "import_folder"
    made.mkdir(exist_ok=True)
    if not (made / "tests").exists():
        (made / "tests").symlink_to(ROOT / "tests")
    return made
