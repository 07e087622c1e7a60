"""Connected components of a mask, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Segmentation = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
Region = int | tuple[int, ...]
"""A label, or the labels whose union is meant."""

NEIGHBOURS: dict[str, Literal[6, 18, 26]] = {"face": 6, "edge": 18, "corner": 26}
"""Which voxels of a 3D image touch: those that share a face, an edge or a corner. In a 2D image edge is corner."""

CONNECTIVITY = "corner"
"""nnU-Net's own post-processing; the trick paper's published code has ``face``."""

CC3D_REFUSES = 3
"""Voxels of an image for which cc3d may fail: it expects one component at most in three voxels in a line."""

SLAB = 1 << 18
"""Voxels that are compared at once, so that they stay in the processor's cache."""

WORTH_CROPPING = 0.8
"""Bounding boxes of a larger share of the image are not cut out."""


@dataclass(frozen=True)
class Components:
    """The components of a mask, as runs of voxels along the last axis.

    A volume has far fewer runs than voxels, so what is counted or removed run by run costs next to nothing.

    Attributes:
        box: Part of the image that holds the mask.
        shape: Sides of the box.
        starts: First voxel of each run, counted within the box.
        lengths: Number of voxels of each run.
        numbers: Component of each run, from 0.
        sizes: Size of each component in voxels.
    """

    box: tuple[slice, ...]
    shape: tuple[int, ...]
    starts: Positions
    lengths: Positions
    numbers: npt.NDArray[Any]
    sizes: Positions

    def counts(self, image: Mask) -> Positions:
        """For each component, the number of its voxels that are true in an image."""
        runs = np.repeat(np.arange(len(self.starts)), self.lengths)
        values = image[self.box].reshape(-1)[self._places(self.starts, self.lengths)]
        return np.bincount(self.numbers[runs[values]], minlength=len(self.sizes))

    def voxels(self, chosen: Mask) -> tuple[Positions, ...]:
        """Indices, within the box, of the voxels of some components.

        Args:
            chosen: For each component, whether it is one of them.
        """
        runs = chosen[self.numbers]
        return np.unravel_index(self._places(self.starts[runs], self.lengths[runs]), self.shape)

    @staticmethod
    def _places(starts: Positions, lengths: Positions) -> Positions:
        ends = np.cumsum(lengths)
        return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


def components(mask: Mask, connectivity: str = CONNECTIVITY) -> Components:
    """Find the components of a mask.

    Args:
        mask: 2D or 3D.
        connectivity: ``face``, ``edge`` or ``corner``: what two voxels of one component share.

    Raises:
        ValueError: If there is no such connectivity.

    Examples:
        >>> mask = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
        >>> components(mask).sizes.tolist(), components(mask, "face").sizes.tolist()
        ([2], [1, 1])
    """
    if connectivity not in NEIGHBOURS:
        raise ValueError(f"connectivity is '{connectivity}', and must be one of {', '.join(NEIGHBOURS)}")
    box = _box(mask)
    inner = np.ascontiguousarray(mask[box])
    starts, lengths = _runs(inner)
    if not len(starts):
        return Components(box, inner.shape, starts, lengths, starts, starts)
    volume: npt.NDArray[Any] = inner.reshape((1,) * (3 - mask.ndim) + inner.shape)
    if volume.size == CC3D_REFUSES:
        volume = np.pad(volume, ((0, 1), (0, 0), (0, 0)))
    numbered = cc3d.connected_components(volume, connectivity=NEIGHBOURS[connectivity])
    numbers = numbered.reshape(-1)[starts] - 1
    sizes = np.bincount(numbers, weights=lengths).astype(np.int64)
    return Components(box, inner.shape, starts, lengths, numbers, sizes)


def _box(mask: Mask) -> tuple[slice, ...]:
    """The bounding box, or the whole image where the box is hardly smaller and would only be copied."""
    box: list[slice] = []
    projection: Any = mask
    while projection.ndim:
        lines = np.flatnonzero(projection.any(tuple(range(1, projection.ndim))))
        box.append(slice(int(lines[0]), int(lines[-1]) + 1) if len(lines) else slice(0, 0))
        projection = projection[box[-1]].any(0)
    whole = tuple(slice(0, side) for side in mask.shape)
    return whole if mask[tuple(box)].size > WORTH_CROPPING * mask.size else tuple(box)


def _runs(mask: Mask) -> tuple[Positions, Positions]:
    """First voxels and lengths of the runs along the last axis, in C order."""
    if not mask.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    flat = mask.reshape(-1)
    changes = []
    for start in range(0, len(flat), SLAB):
        slab = flat[start : start + SLAB + 1]
        changes.append(np.flatnonzero(slab[1:] != slab[:-1]) + (start + 1))
    bounds = np.concatenate([[0] if flat[0] else [], *changes, [len(flat)] if flat[-1] else []]).astype(np.int64)
    # A run that goes over the end of a line is two.
    ends = np.arange(mask.shape[-1], len(flat), mask.shape[-1])
    cut = ends[flat[ends] & flat[ends - 1]]
    starts, stops = (np.sort(np.concatenate([each, cut])) for each in (bounds[::2], bounds[1::2]))
    return starts, stops - starts


def mask_of(segmentation: Segmentation, region: Region) -> Mask:
    """The voxels of a label, or of any label of a region.

    Examples:
        >>> mask_of(np.array([0, 1, 2]), (1, 2)).tolist()
        [False, True, True]
    """
    if isinstance(region, tuple):
        return np.isin(segmentation, region)
    mask: Mask = segmentation == region
    return mask


def as_regions(labels_or_regions: Region | Sequence[Region]) -> list[Region]:
    """A list, also where one label or region is given.

    Examples:
        >>> as_regions(1), as_regions((1, 2)), as_regions([1, (2, 3)])
        ([1], [(1, 2)], [1, (2, 3)])
    """
    if isinstance(labels_or_regions, int | tuple):
        return [labels_or_regions]
    return list(labels_or_regions)
