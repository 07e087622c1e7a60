"""Masks whose outlines are drawn, from label maps as annotators save them and from imported data sets."""

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
class Outlines:
    """The outlines on the slices of one case.

    Attributes:
        masks: Masks by name, slices first, from inferior to superior.
        annotated: Slices that are painted, or annotated in a data set.
    """

    masks: Masks
    annotated: tuple[int, ...]


class PaintedFiles:
    """Label maps as annotators saved them."""

    def __init__(self, folder: Path, cases: Mapping[str, Any]) -> None:
        """List the label maps.

        Args:
            folder: Folder of the label maps.
            cases: Known cases by name; files of other names are no case's.
        """
        self._files = listing.labels_in(folder, cases)

    def of(self, case: str, image: Axial) -> Outlines | None:
        """The paint of a case; ``None`` if it has none yet."""
        if case not in self._files:
            return None
        masks = masks_of(self._files[case], image)
        painted = [index for index in range(image.slices) if any(mask[index].any() for mask in masks.values())]
        return Outlines(masks, tuple(painted))


class ImportedLabels:
    """Labels of a data set that ``annotate`` made."""

    def __init__(self, folders: Folders, dataset: str) -> None:
        """Read the description of the data set.

        Args:
            folders: nnU-Net's folders.
            dataset: Number or full name of the data set.
        """
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

    def of(self, case: str, image: Axial) -> Outlines | None:
        """The labels of a case; ``None`` if the data set does not have the case."""
        files = self._cases.get(case)
        if files is None or files.label is None:
            return None
        label = VolumeFile(files.label)
        if label.axial.shape != image.shape or not np.allclose(label.axial.affine, image.affine, atol=0.01):
            raise ValueError(
                f"{files.label} does not have the voxels of the image of {case}: {self._name} is of other images"
            )
        values_of_voxels = label.labels()
        annotated = np.flatnonzero((values_of_voxels != self._ignore).any(axis=(1, 2)))
        masks = {name: np.isin(values_of_voxels, values) for name, values in self._values.items()}
        return Outlines(masks, tuple(int(index) for index in annotated))
