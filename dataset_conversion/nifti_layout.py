"""File endings and folders of a set of NIfTI files. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dataset_conversion.find import PARTS, FoundFile
from dataset_conversion.model import PlannedCase


def common_ending(cases: Iterable[PlannedCase]) -> tuple[str, list[str]]:
    """The one file ending of the data set: the images' most frequent, so that most of them can be linked.

    Returns:
        The ending, and a warning if some images will have to be written anew.
    """
    images = [case.image.name.lower() for case in cases]
    found = Counter(".nii.gz" if name.endswith(".gz") else ".nii" for name in images)
    if not found:
        return ".nii.gz", []
    ending = max(sorted(found), key=lambda name: found[name])
    others = len(images) - found[ending]
    warning = f"{others} of {len(images)} images are not {ending} and are written anew: a data set has one file ending"
    return ending, [warning] if others else []


def trained_from_test_folders(images: Iterable[FoundFile]) -> list[str]:
    """What is to be said of training cases that somebody put into a folder for validation or test.

    The download has no such folders for labelled cases, so they are training cases like the others.
    """
    folders = Counter(
        next(folder for folder in found.folders[1:] if PARTS.get(folder, "train") != "train")
        for found in images
        if any(PARTS.get(folder, "train") != "train" for folder in found.folders[1:])
    )
    return [
        f"{number} labelled cases lie in folders called {folder!r} and are training cases like the others; give only "
        f"the other folders as sources if they are not meant to be"
        for folder, number in sorted(folders.items())
    ]
