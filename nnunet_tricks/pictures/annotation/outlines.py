"""Masks to draw outlines of: label maps as annotators save them, and those of imported data sets."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation import labels, listing
from nnunet_tricks.annotation.axes import Axial
from nnunet_tricks.annotation.paint import masks_of
from nnunet_tricks.annotation.raw_data import read_manifest
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.nnunet.folders import Folders

Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Outlined:
    """What is drawn on the slices of one case.

    Attributes:
        masks: By name, slices first, from inferior to superior.
        annotated: Slices that are painted, or are annotated in a data set.
    """

    masks: Masks
    annotated: tuple[int, ...]


class PaintedFiles:
    """Label maps as annotators saved them.

    Args:
        folder: Of label maps.
        cases: Names that are known.
    """

    def __init__(self, folder: Path, cases: Mapping[str, Any]) -> None:
        """See the class."""
        self._found = listing.labels_in(folder, cases)

    def of(self, case: str, image: Axial) -> Outlined | None:
        """The paint of a case; ``None`` if there is none yet."""
        if case not in self._found:
            return None
        masks = masks_of(self._found[case], image)
        shows = [index for index in range(image.slices) if any(mask[index].any() for mask in masks.values())]
        return Outlined(masks, tuple(shows))


class ImportedLabels:
    """Labels of a data set that ``annotate`` made.

    Args:
        folders: nnU-Net's.
        dataset: Number or full name.
    """

    def __init__(self, folders: Folders, dataset: str) -> None:
        """See the class."""
        self._name = folders.dataset(dataset)
        read_manifest(folders, self._name)
        described = folders.description(self._name)["labels"]
        self._ignore = described.get(labels.IGNORE)
        self._values = {
            name: value if isinstance(value, list) else [value]
            for name, value in described.items()
            if name not in ("background", labels.IGNORE)
        }
        self._cases = folders.cases(self._name, "Tr")

    def of(self, case: str, image: Axial) -> Outlined | None:
        """The labels of a case; ``None`` if the data set has it not."""
        files = self._cases.get(case)
        if files is None or files.label is None:
            return None
        label = VolumeFile(files.label)
        if label.axial.shape != image.shape or not np.allclose(label.axial.affine, image.affine, atol=0.01):
            raise ValueError(
                f"{files.label} does not have the voxels of the image of {case}: {self._name} is of other images"
            )
        found = label.labels()
        annotated = np.flatnonzero((found != self._ignore).any(axis=(1, 2)))
        masks = {name: np.isin(found, values) for name, values in self._values.items()}
        return Outlined(masks, tuple(int(index) for index in annotated))
