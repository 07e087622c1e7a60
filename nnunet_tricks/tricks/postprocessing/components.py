"""Connected components of labels and regions, and their sizes.

A label map is read once, as runs of equal voxels along the last axis. A volume has far fewer runs than voxels, so what
is done to classes and components after that, run by run, costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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

DENSE = 128
"""Voxels of the image for each run. Where there are fewer, as in noise, cc3d takes less time than joining runs."""


@dataclass(frozen=True)
class Components:
    """The components of a label or region.

    Attributes:
        runs: Their runs, as positions in those of the label map.
        starts: First voxel of each run, counted along the flattened image.
        lengths: Number of voxels of each run.
        numbers: Component of each run, from 0.
        sizes: Size of each component in voxels.
    """

    runs: Positions
    starts: Positions
    lengths: Positions
    numbers: npt.NDArray[Any]
    sizes: Positions

    def counts(self, image: Mask) -> Positions:
        """For each component, the number of its voxels that are true in an image."""
        component = np.repeat(self.numbers, self.lengths)
        values = image.reshape(-1)[_places(self.starts, self.lengths)]
        return np.bincount(component[values], minlength=len(self.sizes))


@dataclass(frozen=True)
class LabelRuns:
    """A label map as runs of equal voxels. A run ends with its line.

    Attributes:
        shape: Shape of the label map.
        starts: First voxel of each run, counted along the flattened image.
        lengths: Number of voxels of each run.
        values: Label of each run.
    """

    shape: tuple[int, ...]
    starts: Positions
    lengths: Positions
    values: Segmentation

    @classmethod
    def of(cls, segmentation: Segmentation) -> LabelRuns:
        """Read a label map or mask, 2D or 3D.

        Examples:
            >>> runs = LabelRuns.of(np.array([[1, 1, 0], [0, 2, 2]]))
            >>> runs.starts.tolist(), runs.lengths.tolist(), runs.values.tolist()
            ([0, 2, 3, 4], [2, 1, 1, 2], [1, 0, 0, 2])
        """
        flat, line = segmentation.reshape(-1), segmentation.shape[-1]
        found = [np.zeros(0, np.int64)]
        slab = max(SLAB // max(line, 1), 1) * line
        for start in range(0, len(flat), slab or 1):
            part = flat[start : start + slab]
            begins = np.empty(len(part), bool)
            np.not_equal(part[1:], part[:-1], out=begins[1:])
            begins[::line] = True
            found.append(np.flatnonzero(begins) + start)
        starts = np.concatenate(found)
        return cls(segmentation.shape, starts, np.diff(starts, append=len(flat)), flat[starts])

    def components(self, region: Region, connectivity: str = CONNECTIVITY) -> Components:
        """Find the components of a label or region.

        Args:
            region: The label, or the labels whose union is meant.
            connectivity: ``face``, ``edge`` or ``corner``: what two voxels of one component share.

        Raises:
            ValueError: If there is no such connectivity.
        """
        if connectivity not in NEIGHBOURS:
            raise ValueError(f"connectivity is '{connectivity}', and must be one of {', '.join(NEIGHBOURS)}")
        chosen = mask_of(self.values, region)
        runs = np.flatnonzero(chosen)
        starts, lengths = self.starts[runs], self.lengths[runs]
        if len(runs) * DENSE > np.prod(self.shape):
            numbers = _of_voxels(np.repeat(chosen, self.lengths).reshape(self.shape), connectivity)[starts] - 1
        else:
            numbers = _of_runs(starts, lengths, self.shape, connectivity)
        sizes = np.bincount(numbers, weights=lengths).astype(np.int64)
        return Components(runs, starts, lengths, numbers, sizes)

    def change(self, parts: Components, chosen: Mask, label: int) -> None:
        """Give another label to some components.

        Args:
            parts: Components of this label map.
            chosen: For each component, whether it is one of them.
            label: The label.
        """
        self.values[parts.runs[chosen[parts.numbers]]] = label

    def drawn_on(self, segmentation: Segmentation) -> Segmentation:
        """A copy of the label map that was read, with the labels that have changed since."""
        result = segmentation.copy()
        flat = result.reshape(-1)
        changed = np.flatnonzero(flat[self.starts] != self.values)
        lengths = self.lengths[changed]
        flat[_places(self.starts[changed], lengths)] = np.repeat(self.values[changed], lengths)
        return result


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
    return LabelRuns.of(mask).components(1, connectivity)


def _places(starts: Positions, lengths: Positions) -> Positions:
    """All voxels of some runs."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


def _of_voxels(mask: Mask, connectivity: str) -> npt.NDArray[Any]:
    """Component of each voxel of the flattened image, from 1."""
    volume: npt.NDArray[Any] = mask.reshape((1,) * (3 - mask.ndim) + mask.shape)
    if volume.size == CC3D_REFUSES:
        volume = np.pad(volume, ((0, 1), (0, 0), (0, 0)))
    numbered = cc3d.connected_components(volume, connectivity=NEIGHBOURS[connectivity])
    return np.asarray(numbered).reshape(-1)


def _of_runs(starts: Positions, lengths: Positions, shape: tuple[int, ...], connectivity: str) -> npt.NDArray[Any]:
    """Component of each run, from 0."""
    pairs = list(_touching(starts, lengths, shape, connectivity))
    first, second = (np.concatenate(each) for each in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(len(starts),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1])


def _touching(
    starts: Positions, lengths: Positions, shape: tuple[int, ...], connectivity: str
) -> Iterator[tuple[Positions, Positions]]:
    """Pairs of runs that touch, each once: those of one line, then those of each direction that looks back."""
    height, width = (1, *shape)[-2:]
    ends = starts + lengths
    line = starts // width
    left, row = starts - line * width, line % height
    same = np.flatnonzero((ends[:-1] == starts[1:]) & (line[:-1] == line[1:]))
    yield same, same + 1
    for slices, rows in ((0, 1), (1, 0), (1, 1), (1, -1)):
        diagonal = abs(slices) + abs(rows) == 2
        if diagonal and connectivity == "face":
            continue
        # Two lines that share only an edge touch over corners if their voxels are not opposite each other.
        wider = {"face": 0, "edge": int(not diagonal), "corner": 1}[connectivity]
        other = (line - slices * height - rows) * width
        from_there = np.searchsorted(ends, other + np.maximum(left - wider, 0), "right")
        to_there = np.searchsorted(starts, other + np.minimum(left + lengths + wider, width), "left")
        inside = (row - rows >= 0) & (row - rows < height)
        count = np.where(inside, np.maximum(to_there - from_there, 0), 0)
        yield np.repeat(np.arange(len(starts)), count), _places(from_there, count)


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
