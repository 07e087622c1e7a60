"""Which axis of a volume runs from the feet to the head, and in which direction its slices are stored."""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
Value = TypeVar("Value", bound=np.generic)

_EQUAL = 1e-6
"""Largest difference of cosines that count as equal."""

STEEP = 30.0
"""Largest tilt of slices against axial ones, in degrees, without a warning."""


@dataclass(frozen=True, eq=False)
class Axial:
    """Axial slices of a volume, counted from 0, the most inferior one.

    Attributes:
        shape: Voxels along the stored axes i, j, k of NIfTI and ITK; nnU-Net's arrays have the reverse order.
        affine: Matrix from (i, j, k, 1) to mm to the right, anterior and superior (RAS), of shape 4x4.
        axis: The stored axis that runs most nearly along inferior-superior: 0, 1 or 2.
        descending: Whether the first stored slice is the most superior one.
        spacing: Distance in mm between the centres of neighbouring slices.
        angle: Angle in degrees between the axis and inferior-superior.
        stated: Whether the file says how the volume lies in the patient; otherwise its last axis is assumed to run
            upwards.
    """

    shape: tuple[int, int, int]
    affine: Affine
    axis: int
    descending: bool
    spacing: float
    angle: float
    stated: bool = True

    @property
    def slices(self) -> int:
        """Number of slices."""
        return self.shape[self.axis]

    @property
    def array_axis(self) -> int:
        """The slices' axis in arrays of nnU-Net and SimpleITK, which are indexed (k, j, i)."""
        return 2 - self.axis

    def stored(self, number: int) -> int:
        """Index along the stored axis, from 0.

        Args:
            number: Number of the slice, counted from inferior.
        """
        return self.slices - 1 - number if self.descending else number

    def itksnap(self, number: int) -> int:
        """Number that ITK-SNAP shows for a slice: it counts in storage order, from 1."""
        return self.stored(number) + 1

    def superior(self, number: int) -> float:
        """Superior coordinate of a slice's centre, in mm: the offset of 3D Slicer's axial (red) view.

        3D Slicer shows no index that could be used instead, since it reverses left-handed volumes on reading.
        """
        centre = [(length - 1) / 2 for length in self.shape]
        centre[self.axis] = self.stored(number)
        return float(self.affine[2] @ [*centre, 1.0])

    def slices_first(self, array: NDArray[Value]) -> NDArray[Value]:
        """View an array in nnU-Net's order, (k, j, i), with slices first, from inferior to superior.

        Writing to the view changes the array.
        """
        moved = np.moveaxis(array, self.array_axis, 0)
        return moved[::-1] if self.descending else moved

    def in_plane(self) -> tuple[float, float]:
        """Edges of a pixel of a slice, in mm, in the order of the axes of ``slices_first``."""
        edges = np.linalg.norm(self.affine[:3, :3], axis=0)[::-1]
        first, second = np.delete(edges, self.array_axis)
        return float(first), float(second)


def axial(affine: Affine, shape: Sequence[int], *, stated: bool = True) -> Axial:
    """Find the axial slices of a volume.

    Args:
        affine: Matrix from voxel indices to mm in RAS, of shape 4x4.
        shape: Voxels along the stored axes.
        stated: Whether the affine comes from the file.

    Raises:
        ValueError: If the volume is not 3D, or its affine maps no axis to inferior-superior.

    Examples:
        >>> flipped = axial(np.diag([1.0, 1, -3, 1]), (40, 40, 20))
        >>> flipped.axis, flipped.stored(0), flipped.itksnap(0), flipped.spacing
        (2, 19, 20, 3.0)
    """
    import nibabel

    if len(shape) < 3:
        raise ValueError(f"a volume must have 3 axes, got {len(shape)}: 2D images have no slices to choose from")
    if len(shape) > 3:
        raise ValueError(
            f"a volume must have 3 axes, got {len(shape)} ({'x'.join(map(str, shape))}): save each channel or point in "
            "time as a 3D volume of its own"
        )
    affine = np.asarray(affine, float)
    orientation = nibabel.orientations.io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if np.isnan(orientation).any():
        raise ValueError(f"no axis runs along inferior-superior: the affine is {affine.tolist()}")
    axis = nearest_to_superior(affine)
    edge = affine[:3, axis]
    spacing = float(np.linalg.norm(edge))
    return Axial(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        affine=affine,
        axis=axis,
        descending=bool(edge[2] < 0),
        spacing=spacing,
        angle=math.degrees(math.acos(min(1.0, abs(float(edge[2])) / spacing))),
        stated=stated,
    )


def nearest_to_superior(affine: Affine) -> int:
    """Find the stored axis that runs most nearly along inferior-superior.

    Args:
        affine: Finite matrix from voxel indices to mm in RAS, of shape 4x4.

    Examples:
        >>> tilted = np.array([[0.1, 0.99, 0.13, 0], [0.8, 0, -0.6, 0], [0.59, -0.16, 0.79, 0], [0, 0, 0, 1]])
        >>> nearest_to_superior(tilted)
        2
    """
    import nibabel

    # nibabel gives each axis a direction of its own, so an axis may get one to which another axis is nearer.
    assigned = int(np.flatnonzero(nibabel.orientations.io_orientation(affine)[:, 0] == 2)[0])
    rises = np.abs(affine[2, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    return int(rises.argmax()) if rises.max() > rises[assigned] + _EQUAL else assigned
