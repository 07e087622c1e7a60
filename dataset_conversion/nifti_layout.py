"""File endings and folders of a set of NIfTI files. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dataset_conversion.find import PARTS, FoundFile
from dataset_conversion.model import PlannedCase


def common_ending(cases: Iterable[PlannedCase]) -> tuple[str, list[str]]:
    """Choose the data set's file ending: the most frequent of the images, so that most of them can be linked.

    Returns:
        The ending, and a warning if some images must be written again.
    """
    images = [case.image.name.lower() for case in cases]
    counts = Counter(".nii.gz" if name.endswith(".gz") else ".nii" for name in images)
    if not counts:
        return ".nii.gz", []
    ending = max(sorted(counts), key=lambda name: counts[name])
    others = len(images) - counts[ending]
    warning = f"{others} of {len(images)} images are not {ending} and are written again: a data set has one file ending"
    return ending, [warning] if others else []


def trained_from_test_folders(images: Iterable[FoundFile]) -> list[str]:
    """Notes on training cases in a folder for validation or test.

    The download has no such folders for labelled cases, so these are training cases like the others.
    """
    folders = Counter(
        next(folder for folder in image.folders[1:] if PARTS.get(folder, "train") != "train")
        for image in images
        if any(PARTS.get(folder, "train") != "train" for folder in image.folders[1:])
    )
    return [
        f"{number} labelled cases lie in folders called {folder!r} and are training cases like the others; if they "
        f"should not be, give only the other folders as sources"
        for folder, number in sorted(folders.items())
    ]
