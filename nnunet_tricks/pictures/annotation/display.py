"""Axial slices as viewers show them: the patient's right on the left of the picture, anterior on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.axes import Axial

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class SliceView:
    """The way in which a slice of a volume, stored slices first, becomes a picture.

    Attributes:
        transposed: Whether rows become columns.
        down: Whether the order of rows is then reversed.
        across: Whether the order of columns is then reversed.
        height: Height of a pixel in mm.
        width: Width of a pixel in mm.
    """

    transposed: bool
    down: bool
    across: bool
    height: float
    width: float

    def shown(self, plane: NDArray[Pixel]) -> NDArray[Pixel]:
        """One slice as a picture, rows from top to bottom."""
        turned = plane.T if self.transposed else plane
        return turned[:: -1 if self.down else 1, :: -1 if self.across else 1]


def view_of(volume: Axial) -> SliceView:
    """The view of a volume's slices. They are shown as they are stored, even if they are tilted.

    Examples:
        >>> from nnunet_tricks.annotation.axes import axial
        >>> view_of(axial(np.diag([-0.5, -0.7, 3, 1]), (4, 5, 6)))
        SliceView(transposed=False, down=False, across=False, height=0.7, width=0.5)
        >>> view_of(axial(np.diag([0.5, 0.7, 3, 1]), (4, 5, 6))).across
        True
    """
    edges = volume.affine[:3, :3]
    units = edges / np.linalg.norm(edges, axis=0)
    rows, columns = (axis for axis in (2, 1, 0) if axis != volume.axis)
    right, front = np.abs(units[0]), np.abs(units[1])
    transposed = bool(right[rows] + front[columns] > right[columns] + front[rows])
    heights, widths = volume.in_plane()
    if transposed:
        rows, columns, heights, widths = columns, rows, widths, heights
    # Coordinates of the volume grow to the patient's right and front. Pictures grow to the patient's left and back.
    return SliceView(transposed, bool(units[1, rows] > 0), bool(units[0, columns] > 0), heights, widths)
