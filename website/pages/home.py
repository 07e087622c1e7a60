"""What the home page has beside ``docs/index.md``: pictures that are made when the site is built."""

from __future__ import annotations

from nnunet_tricks.catalogue import CATALOGUE
from website.pages.tricks import OVERVIEW, picture_of

SHOWN = "Tversky"


def home_addition() -> str:
    """The last section of the home page."""
    (info,) = (info for info in CATALOGUE if info.name == SHOWN)
    return (
        "\n## Where does a loss push?\n\n"
        f"One prediction with five kinds of errors, and what `{SHOWN}` wants to change about it."
        f" [All losses side by side]({OVERVIEW}).\n\n"
        f"![Image, truth, prediction, and where the {SHOWN} loss pushes]({picture_of(info)})\n"
    )
