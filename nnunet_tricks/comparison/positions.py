"""Where the voxels of two images lie in the scanner's room, and how far two headers put the same voxel apart.

nnU-Net goes by index: a voxel of a prediction is compared with the voxel of the label that has the same index. That is
right as long as both lie at the same place.
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
"""Voxels: headers that differ by less are rounded."""

BESIDE = 0.5
"""Voxels: from here on another voxel is nearer than the one with the same index."""

TURNED = 0.01
"""Share of a voxel by which an axis may lean."""

NIFTI_CODES = ("qform_code", "sform_code")
UNKNOWN = ("0", "NIFTI_XFORM_UNKNOWN")


@dataclass(frozen=True)
class Grid:
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
        """Millimetres of voxels, one in each row."""
        return index @ self.matrix.T + self.origin


@dataclass(frozen=True)
class Apart:
    """How far two headers put voxels with the same index from each other, at most.

    Attributes:
        voxels: Along one of the label's axes.
        mm: In millimetres.
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


def grid_of(image: Any) -> Grid | None:
    """The grid of an image, or of a reader of its header; None where the header leaves it open.

    Args:
        image: Of SimpleITK.
    """
    codes = [image.GetMetaData(name) for name in NIFTI_CODES if image.HasMetaDataKey(name)]
    if codes and all(code in UNKNOWN for code in codes):
        return None
    axes = len(image.GetSize())
    matrix = np.reshape(image.GetDirection(), (axes, axes)) @ np.diag(image.GetSpacing())
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        return None
    return Grid(tuple(image.GetSize()), matrix, np.array(image.GetOrigin()))


def grid_in(file: Path) -> Grid | None:
    """The grid of a file, from its header alone; None where it has none or cannot be read."""
    import SimpleITK as sitk  # noqa: N813, its usual name

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return grid_of(reader)


def apart(one: Grid | None, other: Grid | None) -> Apart:
    """How far the headers of two images of the same shape put their voxels apart.

    Args:
        one: Of the first; None if nobody knows, which contradicts nothing.
        other: Of the second, in whose voxels it is said.

    Examples:
        >>> here = Grid((5, 5), np.eye(2), np.zeros(2))
        >>> apart(here, Grid((5, 5), np.eye(2), np.array([0.0, 2.0])))
        Apart(voxels=2.0, mm=2.0, turned=False)
    """
    if one is None or other is None or len(one.shape) != len(other.shape):
        return Apart()
    # Both are linear, so nothing is further apart than some corner.
    corners = np.array(list(product(*((0.0, length - 1.0) for length in other.shape))))
    difference = one.places(corners) - other.places(corners)
    voxels = np.linalg.solve(other.matrix, difference.T)
    turned = not np.allclose(np.linalg.solve(other.matrix, one.matrix), np.eye(len(one.shape)), atol=TURNED)
    return Apart(float(np.abs(voxels).max()), float(np.linalg.norm(difference, axis=1).max()), turned)


def contradiction(file: Path, found: Apart) -> str:
    """Why a prediction cannot be compared with its label by index."""
    how = "its axes run in other directions" if found.turned else "its origin is another one"
    return (
        f"{file.name} and its label have the same shape, but their headers put voxels with the same index up to "
        f"{found.mm:.3g} mm apart ({how}): resample the prediction onto the label's grid, or, if only a header is "
        "wrong, --accept positions measures by index, as nnU-Net does"
    )


def note(found: Mapping[str, Apart]) -> str:
    """What has to be known of predictions whose headers differ from their labels'; empty if none does.

    Args:
        found: Of each case.
    """
    apart_ = {case: one for case, one in found.items() if one.matters}
    if not apart_:
        return ""
    case, most = max(apart_.items(), key=lambda pair: pair[1].mm)
    return (
        f"In {len(apart_)} of {len(found)} cases the headers of prediction and label put the same voxel at different "
        f"places, up to {most.mm:.2g} mm or {most.voxels:.2g} voxels apart in {case}. nnU-Net compares voxels by "
        "index, and so do these numbers."
    )
