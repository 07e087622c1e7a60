"""Preprocessed cases as nnU-Net reads them, without the labels of slices that nobody annotated.

Labels are blanked when a patch is cut out. So nothing is written, and one preprocessed data set serves all densities.
nnU-Net's mark -1 means two things: voxels of the padding around the image, and zeros of the image itself. Only the
first are unknown. The two get different marks here, for ``padding.py``.
"""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.tricks.sparse.survey import Survey

PADDING = -1
"""nnU-Net's mark of voxels around the image. It marks zeros of the image the same; they become one of the next two."""
OUTSIDE = -2
"""Zeros around the body, in annotated slices: background."""
OUTSIDE_UNKNOWN = -3
"""Zeros around the body, in slices that nobody annotated."""


class BlankedLabels:
    """A segmentation that is read where it is cropped, without its un-annotated slices.

    Attributes:
        shape: (1, z, y, x).
        dtype: Type of the labels that are read.
    """

    dtype = np.dtype(np.int16)

    def __init__(self, labels: Any, axis: int, kept: NDArray[np.bool_], ignore: int) -> None:
        """Stand in front of labels, and read none of them yet.

        Args:
            labels: (1, z, y, x), anything that can be sliced as an array.
            axis: Axis, of the last three, along which slices follow each other.
            kept: Whether the labels of each slice are shown.
            ignore: Label of voxels that are not shown.
        """
        self.labels, self.kept, self.ignore = labels, kept, ignore
        self.shape = tuple(labels.shape)
        self.axis = axis
        self.ndim = len(self.shape)

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[np.int16]:
        """A copy of a box.

        Args:
            where: A slice for each of the four axes.
        """
        box = np.array(self.labels[where], dtype=np.int16)
        outside = box == PADDING
        box[outside] = OUTSIDE
        blank = ~self.kept[where[self.axis + 1]]
        if blank.any():
            slices, around = np.moveaxis(box, self.axis + 1, 0), np.moveaxis(outside, self.axis + 1, 0)
            slices[blank] = np.where(around[blank], OUTSIDE_UNKNOWN, self.ignore)
        return box


@dataclass(frozen=True)
class PackedLabels:
    """Interpolated labels that are kept in memory, compressed by a factor of hundreds.

    Attributes:
        frame: Bytes of the labels; they can be pickled, so the loading processes can have them.
    """

    frame: bytes

    @classmethod
    def of(cls, labels: NDArray[np.integer], like: Any) -> PackedLabels:
        """Pack labels.

        Args:
            labels: (1, z, y, x).
            like: Array that is read in the same boxes; if it is compressed, the labels get its chunks and blocks.
        """
        parts = {name: getattr(like, name) for name in ("chunks", "blocks") if hasattr(like, name)}
        return cls(blosc2.asarray(np.ascontiguousarray(labels), **parts).to_cframe())

    def open(self) -> Any:
        """The labels as an array that can be sliced, and is unpacked where it is."""
        return blosc2.ndarray_from_cframe(self.frame)


@dataclass(frozen=True, kw_only=True)
class SparseCase:
    """How a case is annotated.

    Attributes:
        survey: Kinds of voxels that it has, and where.
        kept: Whether the labels of each slice are shown.
        interpolated: Labels of all slices in place of the stored ones.
    """

    survey: Survey
    kept: NDArray[np.bool_]
    interpolated: PackedLabels | None = None


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is known of a case when the place of a patch is chosen; the loader carries it as class locations.

    Attributes:
        survey: Survey of the case.
        labels: Labels as they are loaded, (1, z, y, x).
    """

    survey: Survey
    labels: BlankedLabels


class SparseCases:
    """A data set of nnU-Net's loader, with the labels that its annotator made.

    Attributes:
        cases: nnU-Net's data set, or another with its methods.
        sparse: Annotation of each case; cases without any are left out.
        identifiers: Names of the cases that have one.
    """

    def __init__(self, cases: Any, sparse: Mapping[str, SparseCase], ignore: int) -> None:
        """Put annotations in front of a data set.

        Args:
            cases: nnU-Net's data set.
            sparse: Annotation of each case.
            ignore: Label of voxels that are not annotated.
        """
        self.cases, self.sparse, self.ignore = cases, sparse, ignore
        self.identifiers: Sequence[str] = [case for case in cases.identifiers if case in sparse]

    def load_case(self, identifier: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        """A case as nnU-Net loads it, but with blanked labels and a ``Site`` in place of the class locations."""
        image, labels, previous, properties = self.cases.load_case(identifier)
        case = self.sparse[identifier]
        if case.interpolated is not None:
            labels = case.interpolated.open()
        shown = BlankedLabels(labels, case.survey.axis, case.kept, self.ignore)
        return image, shown, previous, {**properties, "class_locations": Site(survey=case.survey, labels=shown)}
