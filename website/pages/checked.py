"""What a trick's page says about its checks, read from the situations that the tests really use."""

from __future__ import annotations

from collections.abc import Iterator

from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import completed, parse
from nnunet_tricks.conformance.grid import FULL_GRID, Situation, pairwise
from tests.conformance.situations import met
from website.pages.tables import table

IMAGES = {"2d": "2D images", "3d": "volumes", "cascade": "second stage of a cascade"}
LABELS = {
    "labels": "labels",
    "labels+ignore": "labels, and voxels to ignore",
    "regions": "regions",
    "regions+ignore": "regions, and voxels to ignore",
}


def checked(info: TrickInfo) -> Iterator[str]:
    """The section as paragraphs in Markdown; nothing for tricks that need no training."""
    if info.command:
        return
    yield "## Is it checked?"
    trainers = met(info)
    if trainers:
        yield (
            "Yes: the tests train it, with data made for each of these situations. "
            "What is required of it there: [what a trick must pass](../contributing.md#what-a-trick-must-pass)."
        )
        named = list(trainers) != [info.trainer]
        head = ("images", "truth", "deep supervision", *(["trainer"] if named else []))
        yield table(
            head,
            [
                (*_in_words(situation), *([f"`{trainer}`"] if named else []))
                for trainer, situations in trainers.items()
                for situation in situations
            ],
        )
        if "supervision" in info.hooks and any(place.deep_supervision for place in trainers[info.trainer]):
            yield "A trainer that switches deep supervision off is left out where it would be on."
    else:
        yield (
            "The tests check its class and its weights, and train its relatives, but not this trick itself: "
            "[what a trick must pass](../contributing.md#what-a-trick-must-pass)."
        )
    yield (
        f"This checks {len(pairwise())} situations on your machine, in which any two circumstances meet; "
        f"with `--all` it is {len(FULL_GRID)}:"
    )
    yield f"```bash\nnnunet-tricks conformance {completed(parse(info.trainer))}\n```"


def _in_words(situation: Situation) -> tuple[str, str, str]:
    return IMAGES[situation.dimension], LABELS[situation.labels], "on" if situation.deep_supervision else "off"
