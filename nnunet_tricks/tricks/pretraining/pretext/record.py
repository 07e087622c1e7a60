"""Which images a pretext training has seen, so that nobody compares models on them later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.utilities.files import write_atomically

FILE = "pretext_images.json"


@dataclass(frozen=True)
class SeenImages:
    """Images that a training has learned from.

    Attributes:
        training: Cases of the data set.
        unlabelled: Images without labels.
    """

    training: tuple[str, ...]
    unlabelled: tuple[str, ...]


def write(folder: Path, training: Sequence[str], unlabelled: Sequence[str]) -> None:
    """Note the images of a training, beside those that an interrupted part of it has seen.

    Args:
        folder: The fold's folder.
        training: Cases of the data set.
        unlabelled: Images without labels.
    """
    before = read(folder)
    content = {
        "training": sorted({*training, *(before.training if before else ())}),
        "unlabelled": sorted({*unlabelled, *(before.unlabelled if before else ())}),
    }
    write_atomically(folder / FILE, json.dumps(content, indent=2))


def read(folder: Path) -> SeenImages | None:
    """The images of the training in a fold's folder; None if it does not say."""
    file = folder / FILE
    if not is_json(file):
        return None
    content = read_json(file)
    return SeenImages(tuple(content["training"]), tuple(content["unlabelled"]))
