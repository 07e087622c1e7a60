"""File endings of a set of NIfTI files. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dataset_conversion.model import Case


def common_ending(cases: Iterable[Case]) -> tuple[str, list[str]]:
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
