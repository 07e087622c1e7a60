"""Connected components of a mask, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cc3d
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Segmentation = npt.NDArray[Any]
Region = int | tuple[int, ...]
"""A label, or the labels whose union is meant."""

NEIGHBOURS: dict[str, Literal[6, 18, 26]] = {"face": 6, "edge": 18, "corner": 26}
"""Which voxels of a 3D image touch: those that share a face, an edge or a corner. In a 2D image edge is corner."""

CONNECTIVITY = "corner"
"""nnU-Net's own post-processing; the trick paper's published code has ``face``."""


def labelled(mask: Mask, connectivity: str = CONNECTIVITY) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Number the components of a mask.

    Args:
        mask: 2D or 3D.
        connectivity: ``face``, ``edge`` or ``corner``: what two voxels of one component share.

    Returns:
        The component's number at each voxel, 0 outside, and the size of each component in voxels, in the order of their
        numbers from 1.

    Raises:
        ValueError: If there is no such connectivity.

    Examples:
        >>> mask = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
        >>> labelled(mask)[1].tolist(), labelled(mask, "face")[1].tolist()
        ([2], [1, 1])
    """
    if connectivity not in NEIGHBOURS:
        raise ValueError(f"connectivity is '{connectivity}', and must be one of {', '.join(NEIGHBOURS)}")
    volume: npt.NDArray[Any] = mask.reshape((1,) * (3 - mask.ndim) + mask.shape)
    numbers = cc3d.connected_components(volume, connectivity=NEIGHBOURS[connectivity])
    sizes = np.bincount(numbers.ravel())[1:]
    return numbers.reshape(mask.shape), sizes


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
