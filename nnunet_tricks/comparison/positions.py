"""Where the voxels of two images lie in the scanner's space, and how far two headers put the same voxel apart.

nnU-Net goes by index: it compares a voxel of a prediction with the voxel of the label at the same index. That is right
as long as both lie at the same place.
"""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAME = 0.05
"""Largest displacement in voxels that is only rounding."""

BESIDE = 0.5
"""Displacement in voxels beyond which another voxel is nearer than the one with the same index."""

TURNED = 0.01
"""Share of a voxel by which an axis may lean."""

NIFTI_CODES = ("qform_code", "sform_code")
UNKNOWN = ("0", "NIFTI_XFORM_UNKNOWN")


@dataclass(frozen=True)
class ImageGrid:
    """Where voxels lie.

    Attributes:
        shape: Number of voxels along x, y, z, or x, y.
        matrix: Millimetres for one voxel along each of these axes, as columns.
        origin: Place of the first voxel.
    """

    shape: tuple[int, ...]
    matrix: NDArray[np.float64]
    origin: NDArray[np.float64]

    def places(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places of voxels in mm, one voxel in each row."""
        return index @ self.matrix.T + self.origin


@dataclass(frozen=True)
class Displacement:
    """How far two headers put voxels with the same index from each other, at most.

    Attributes:
        voxels: Distance along one of the label's axes, in voxels.
        mm: Distance in millimetres.
        turned: Whether axes run in other directions.
    """

    voxels: float = 0.0
    mm: float = 0.0
    turned: bool = False

    @property
    def matters(self) -> bool:
        """Whether it is more than rounding."""
        return self.voxels > SAME

    @property
    def contradicts(self) -> bool:
        """Whether other voxels lie at the same place."""
        return self.voxels > BESIDE


def grid_of(image: Any) -> ImageGrid | None:
    """The grid of an image, or of a reader of its header; None where the header leaves it open.

    Args:
        image: Image or image reader of SimpleITK.
    """
    codes = [image.GetMetaData(name) for name in NIFTI_CODES if image.HasMetaDataKey(name)]
    if codes and all(code in UNKNOWN for code in codes):
        return None
    axes = len(image.GetSize())
    matrix = np.reshape(image.GetDirection(), (axes, axes)) @ np.diag(image.GetSpacing())
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        return None
    return ImageGrid(tuple(image.GetSize()), matrix, np.array(image.GetOrigin()))


def grid_in(file: Path) -> ImageGrid | None:
    """The grid of a file, from its header alone; None where it has none or cannot be read."""
    import SimpleITK as sitk  # noqa: N813, its usual name

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return grid_of(reader)


def displacement(grid: ImageGrid | None, reference: ImageGrid | None) -> Displacement:
    """How far the headers of two images of the same shape put their voxels apart.

    Args:
        grid: Grid of the first image; None if it is not known, which contradicts nothing.
        reference: Grid of the second image, whose voxels are the unit of the result; None likewise.

    Examples:
        >>> grid = ImageGrid((5, 5), np.eye(2), np.zeros(2))
        >>> displacement(grid, ImageGrid((5, 5), np.eye(2), np.array([0.0, 2.0])))
        Displacement(voxels=2.0, mm=2.0, turned=False)
    """
    if grid is None or reference is None or len(grid.shape) != len(reference.shape):
        return Displacement()
    # Both are linear, so nothing is further apart than some corner.
    corners = np.array(list(product(*((0.0, length - 1.0) for length in reference.shape))))
    difference = grid.places(corners) - reference.places(corners)
    voxels = np.linalg.solve(reference.matrix, difference.T)
    turned = not np.allclose(np.linalg.solve(reference.matrix, grid.matrix), np.eye(len(grid.shape)), atol=TURNED)
    return Displacement(float(np.abs(voxels).max()), float(np.linalg.norm(difference, axis=1).max()), turned)


def contradiction(file: Path, shift: Displacement) -> str:
    """Why a prediction cannot be compared with its label by index."""
    reason = "its axes run in other directions" if shift.turned else "its origin is another one"
    return (
        f"{file.name} and its label have the same shape, but their headers put voxels with the same index up to "
        f"{shift.mm:.3g} mm apart ({reason}): resample the prediction onto the label's grid, or, if only a header is "
        "wrong, --accept positions measures by index, as nnU-Net does"
    )


def note(shifts: Mapping[str, Displacement]) -> str:
    """What a reader has to know of predictions whose headers differ from their labels'; empty if none does.

    Args:
        shifts: Displacement of each case.
    """
    mattering = {case: shift for case, shift in shifts.items() if shift.matters}
    if not mattering:
        return ""
    case, largest = max(mattering.items(), key=lambda item: item[1].mm)
    return (
        f"In {len(mattering)} of {len(shifts)} cases the headers of prediction and label put the same voxel at "
        f"different places, up to {largest.mm:.2g} mm or {largest.voxels:.2g} voxels apart in {case}. "
        "nnU-Net compares voxels by index, and so do these numbers."
    )
