"""Preprocessed cases as nnU-Net reads them, with nothing left of the slices that nobody annotated.

Labels are blanked when a patch is cut out, so that nothing is written and one preprocessed data set serves all
densities. What nnU-Net marks by -1 means two things, voxels around the image, which it pads, and zeros of the image
itself; only the first are unknown. They are told apart here, for ``padding.py``.
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
"""nnU-Net's mark of voxels around the image; it also marks zeros of the image by it, which become one of the next."""
OUTSIDE = -2
"""Zeros around the body, in annotated slices: background."""
OUTSIDE_UNKNOWN = -3
"""Zeros around the body, in slices that nobody annotated."""


class Blanked:
    """A segmentation that is read where it is cropped, without its un-annotated slices.

    Attributes:
        shape: (1, z, y, x).
        dtype: Of what is read.
    """

    dtype = np.dtype(np.int16)

    def __init__(self, labels: Any, axis: int, kept: NDArray[np.bool_], ignore: int) -> None:
        """Take what is there.

        Args:
            labels: (1, z, y, x), anything that can be sliced as an array.
            axis: Along which slices follow each other, of the last three.
            kept: For each slice whether its labels are shown.
            ignore: Label of what is not.
        """
        self.labels, self.kept, self.ignore = labels, kept, ignore
        self.shape = tuple(labels.shape)
        self.axis = axis
        self.ndim = len(self.shape)

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[np.int16]:
        """A box of it, a copy.

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
class Packed:
    """Labels that were made and are kept in memory, compressed by a factor of hundreds.

    Attributes:
        frame: Their bytes; a file could hold them, and another process can have them.
    """

    frame: bytes

    @classmethod
    def of(cls, labels: NDArray[np.integer], like: Any) -> Packed:
        """Pack labels.

        Args:
            labels: (1, z, y, x).
            like: What is read in the same boxes; if it is compressed, so are the labels.
        """
        parts = {name: getattr(like, name) for name in ("chunks", "blocks") if hasattr(like, name)}
        return cls(blosc2.asarray(np.ascontiguousarray(labels), **parts).to_cframe())

    def open(self) -> Any:
        """Something to slice."""
        return blosc2.ndarray_from_cframe(self.frame)


@dataclass(frozen=True, kw_only=True)
class SparseCase:
    """How a case is annotated.

    Attributes:
        survey: What is annotated, and where.
        kept: For each slice whether its labels are shown.
        interpolated: Labels of all slices in place of the stored ones.
    """

    survey: Survey
    kept: NDArray[np.bool_]
    interpolated: Packed | None = None


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the loader hands to what chooses the place of a patch, where it hands around nnU-Net's class locations.

    Attributes:
        survey: Of the case.
        labels: As they are loaded, (1, z, y, x).
    """

    survey: Survey
    labels: Blanked


class SparseCases:
    """A data set of nnU-Net's loader, as it is annotated.

    Attributes:
        cases: nnU-Net's, or another that stands for it.
        sparse: How each of its cases is annotated; cases without any annotation are not there.
        identifiers: Of those cases.
    """

    def __init__(self, cases: Any, sparse: Mapping[str, SparseCase], ignore: int) -> None:
        """Take them; ``ignore`` is the label of what is not annotated."""
        self.cases, self.sparse, self.ignore = cases, sparse, ignore
        self.identifiers: Sequence[str] = [case for case in cases.identifiers if case in sparse]

    def load_case(self, identifier: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        """As nnU-Net's, with its own labels and a ``Site`` in place of the class locations."""
        image, labels, previous, properties = self.cases.load_case(identifier)
        one = self.sparse[identifier]
        if one.interpolated is not None:
            labels = one.interpolated.open()
        shown = Blanked(labels, one.survey.axis, one.kept, self.ignore)
        return image, shown, previous, {**properties, "class_locations": Site(survey=one.survey, labels=shown)}
