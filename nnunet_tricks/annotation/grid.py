"""Where the slices of an image are after nnU-Net has transposed, cropped and resampled it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.axes import nearest_to_superior

SUPERIOR = 2
"""The axis of the body from inferior to superior, in world coordinates."""
OBLIQUE = float(np.cos(np.deg2rad(30)))


@dataclass(frozen=True, kw_only=True)
class SliceGrid:
    """The slices of a case, before and after preprocessing; raw ones are counted from inferior to superior.

    Attributes:
        axis: Axis of the preprocessed volume along which its slices follow each other.
        upwards: Whether slices are stored from inferior to superior.
        raw: Number of slices of the raw volume.
        first: First stored slice that is not cropped away, in the order of storage.
        cropped: Number of raw slices that are not cropped away.
        slices: Number of slices of the preprocessed volume.
        cosine: Cosine of the angle between the slices' normal and the body's axis; 0 if the file does not tell.

    Examples:
        >>> thick = SliceGrid(axis=0, upwards=True, raw=10, first=0, cropped=10, slices=5, cosine=1.0)
        >>> thick.kept([3, 8]).astype(int)
        array([0, 1, 0, 0, 1])
    """

    axis: int
    upwards: bool
    raw: int
    first: int
    cropped: int
    slices: int
    cosine: float

    @property
    def raw_of(self) -> NDArray[np.intp]:
        """Nearest raw slice of each preprocessed slice, in the order of storage."""
        nearest = (2 * np.arange(self.slices) + 1) * self.cropped // (2 * self.slices)
        return self._turned(self.first + nearest)

    def kept(self, chosen: Iterable[int]) -> NDArray[np.bool_]:
        """Find the preprocessed slices that show a chosen raw slice; only cropped slices are lost.

        Args:
            chosen: Raw slices.

        Returns:
            A flag for each preprocessed slice, in the order of storage.
        """
        chosen = np.asarray(list(chosen), dtype=np.intp)
        kept: NDArray[np.bool_] = np.isin(self.raw_of, chosen)
        kept[self.place(chosen)] = True
        return kept

    def place(self, chosen: Iterable[int]) -> NDArray[np.intp]:
        """Preprocessed slices that are nearest to raw ones; raw slices that are cropped away have none."""
        stored = self._turned(np.asarray(list(chosen), dtype=np.intp)) - self.first
        stored = stored[(stored >= 0) & (stored < self.cropped)]
        return (2 * stored + 1) * self.slices // (2 * self.cropped)

    def _turned(self, slices: NDArray[np.intp]) -> NDArray[np.intp]:
        return slices if self.upwards else self.raw - 1 - slices


def grid_of(properties: Mapping[str, Any], shape: Sequence[int], transposed: Sequence[int]) -> SliceGrid:
    """Locate the slices of a preprocessed case.

    Args:
        properties: Properties that nnU-Net's preprocessing stored with the case.
        shape: Shape of the preprocessed volume, without channels.
        transposed: ``transpose_forward`` of the plans.

    Returns:
        The places of its axial slices. A file without an orientation has its slices along the first axis.
    """
    raw_axis, upwards, cosine = _axial(properties)
    axis = list(transposed).index(raw_axis)
    first, last = properties["bbox_used_for_cropping"][axis]
    return SliceGrid(
        axis=axis,
        upwards=upwards,
        raw=int(properties["shape_before_cropping"][axis]),
        first=int(first),
        cropped=int(last - first),
        slices=int(shape[axis]),
        cosine=cosine,
    )


def _axial(properties: Mapping[str, Any]) -> tuple[int, bool, float]:
    """The array axis that runs from inferior to superior, whether it ascends, and the cosine of the angle between."""
    directions = _directions(properties)
    if directions is None:
        return 0, True, 0.0
    affine = np.eye(4)
    affine[:3, :3] = directions
    column = nearest_to_superior(affine)
    # Files count axes from the fastest, arrays from the slowest.
    return 2 - column, bool(directions[SUPERIOR, column] > 0), float(abs(directions[SUPERIOR, column]))


def _directions(properties: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Unit vectors of the file's axes, in columns; in the third row both conventions of signs agree."""
    if "sitk_stuff" in properties:
        direction = np.asarray(properties["sitk_stuff"]["direction"], float)
        return direction.reshape(3, 3) if direction.size == 9 else None
    affines = properties.get("nibabel_stuff")
    if affines is None:
        return None
    columns = np.asarray(affines.get("reoriented_affine", affines["original_affine"]), float)[:3, :3]
    return columns / np.linalg.norm(columns, axis=0)
