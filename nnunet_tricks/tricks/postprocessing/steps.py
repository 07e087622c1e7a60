"""The functions that a saved ``postprocessing.pkl`` names.

nnU-Net stores post-processing as pickled functions, by module and name. So neither the name of this module nor those of
its functions and their arguments ever change: files on other people's disks hold them.

Each takes and returns a label map, and never changes the one that it was given. ``labels_or_regions`` is a label, a
tuple of labels whose union is meant, or a list of these that are treated one after the other. Removed voxels become
``background_label``.

Zhang D. et al., "Deep Learning for Medical Image Segmentation: Tricks, Challenges and Future Directions", section 3.6:
all-but-largest-component suppression (``keep_largest``) and removal of small areas (``remove_small``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from nnunet_tricks.tricks.postprocessing.components import (
    CONNECTIVITY,
    LabelRuns,
    Mask,
    Region,
    Segmentation,
    as_regions,
    mask_of,
)


def keep_largest(
    segmentation: Segmentation,
    labels_or_regions: Region | Sequence[Region],
    *,
    count: int = 1,
    connectivity: str = CONNECTIVITY,
    background_label: int = 0,
) -> Segmentation:
    """Keep the largest component of each label or region, or the ``count`` largest for organs in pairs.

    Components of equal size are kept together, as in nnU-Net and in the trick paper's code. For one label and
    ``count = 1`` this is nnU-Net's own function.

    Args:
        segmentation: Label map, 2D or 3D.
        labels_or_regions: Each of them is treated by itself.
        count: Number of components that stay, at least 1; 2 for both kidneys.
        connectivity: ``face``, ``edge`` or ``corner``.
        background_label: Value of removed voxels.

    Returns:
        A new label map.

    Raises:
        ValueError: If ``count`` is below 1, or there is no such connectivity.

    Examples:
        >>> keep_largest(np.array([[1, 1, 0, 1, 0, 1, 1, 1]]), 1, count=1).tolist()
        [[0, 0, 0, 0, 0, 1, 1, 1]]
        >>> keep_largest(np.array([[1, 1, 0, 1, 0, 1, 1, 1]]), 1, count=2).tolist()
        [[1, 1, 0, 0, 0, 1, 1, 1]]
    """
    if count < 1:
        raise ValueError(f"count is {count}, and at least 1 component must stay")
    runs = LabelRuns.of(segmentation)
    for region in as_regions(labels_or_regions):
        parts = runs.components(region, connectivity)
        if len(parts.sizes) > count:
            smallest = np.sort(parts.sizes)[-count]
            runs.change(parts, parts.sizes < smallest, background_label)
    return runs.drawn_on(segmentation)


def remove_small(
    segmentation: Segmentation,
    labels_or_regions: Region | Sequence[Region],
    *,
    voxels: int,
    connectivity: str = CONNECTIVITY,
    background_label: int = 0,
) -> Segmentation:
    """Remove components of fewer than ``voxels`` voxels.

    Args:
        segmentation: Label map, 2D or 3D.
        labels_or_regions: Each of them is treated by itself.
        voxels: Size of the smallest component that stays.
        connectivity: ``face``, ``edge`` or ``corner``.
        background_label: Value of removed voxels.

    Returns:
        A new label map. It has none of the label where all components are smaller.

    Raises:
        ValueError: If ``voxels`` is negative, or there is no such connectivity.

    Examples:
        >>> remove_small(np.array([[1, 1, 0, 1]]), 1, voxels=2).tolist()
        [[1, 1, 0, 0]]
    """
    if voxels < 0:
        raise ValueError(f"voxels is {voxels}, and must not be negative")
    runs = LabelRuns.of(segmentation)
    for region in as_regions(labels_or_regions):
        parts = runs.components(region, connectivity)
        runs.change(parts, parts.sizes < voxels, background_label)
    return runs.drawn_on(segmentation)


def fill_holes(
    segmentation: Segmentation,
    labels_or_regions: Region | Sequence[Region],
    *,
    by_slice: bool = False,
    background_label: int = 0,
) -> Segmentation:
    """Fill background that a label or region encloses.

    A hole is background from which no path over voxel faces leads to the border of the image. Holes of a region get
    the label that most of its voxels have. Voxels of other labels are never changed.

    Args:
        segmentation: Label map, 2D or 3D. A 3D map with a first axis of one voxel is a 2D image, as nnU-Net reads it.
        labels_or_regions: Each of them is treated by itself.
        by_slice: Whether each slice of the first axis is an image of its own; else holes are those of the volume.
        background_label: Value that is filled.

    Returns:
        A new label map.

    Examples:
        >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
        >>> fill_holes(ring, 1).tolist()
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
    """
    result = segmentation.copy()
    for region in as_regions(labels_or_regions):
        mask = mask_of(result, region)
        if mask.any():
            holes = _holes(mask, by_slice) & (result == background_label)
            result[holes] = _commonest(result[mask])
    return result


def _holes(mask: Mask, by_slice: bool) -> Mask:
    flat = mask.ndim == 3 and (by_slice or mask.shape[0] == 1)
    structure = np.zeros((3,) * mask.ndim, bool)
    centre = ndimage.generate_binary_structure(mask.ndim - flat, 1)
    structure[(1,) if flat else ()] = centre
    filled: Mask = ndimage.binary_fill_holes(mask, structure)
    return filled & ~mask


def _commonest(labels: Segmentation) -> int:
    values, counts = np.unique(labels, return_counts=True)
    return int(values[np.argmax(counts)])
